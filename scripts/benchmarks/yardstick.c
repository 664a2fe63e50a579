/* yardstick: what the machine's kernel can do, as a plain loop of write(2) to 1,000 loopback connections. Nothing is parsed,
 * made or kept, so no server that writes so many frames at a time can be faster. Usage: yardstick CPU_WRITER CPU_READER,
 * -1 for no pinning. Prints frames/s with 1, 8 and 64 frames a write. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 1000, FRAME_BYTES = 200, FRAMES_MAX = 64 };
static const double SECONDS = 0.5;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu >= 0) CPU_SET(cpu, &set), sched_setaffinity(0, sizeof set, &set);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void read_all(struct sockaddr_in *to) {
  static char room[256 * 1024];
  int poll = epoll_create1(0);
  for (int i = 0; i < CONNECTIONS; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)to, sizeof *to)) fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
  struct epoll_event events[512];
  for (;;) {
    int n = epoll_wait(poll, events, 512, -1);
    for (int i = 0; i < n; i++)
      if (recv(events[i].data.fd, room, sizeof room, 0) <= 0) exit(0);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  alarm(20);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) fail("listen");
  getsockname(listener, (struct sockaddr *)&at, &size);
  if (!fork()) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run_on(atoi(argv[2]));
    read_all(&at);
  }
  run_on(atoi(argv[1]));
  static int fds[CONNECTIONS];
  for (int i = 0; i < CONNECTIONS; i++) {
    fds[i] = accept(listener, NULL, NULL);
    if (fds[i] < 0) fail("accept");
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct linger linger = {.l_onoff = 1};
    setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  static char frames[FRAMES_MAX * FRAME_BYTES];
  memset(frames, 'x', sizeof frames);
  for (int many = 1; many <= FRAMES_MAX; many *= 8) {
    double begun = now_s(), end = begun + SECONDS;
    unsigned long written = 0;
    while (now_s() < end)
      for (int i = 0; i < CONNECTIONS; i++) {
        if (write(fds[i], frames, (size_t)many * FRAME_BYTES) < 0) fail("write");
        written += (unsigned)many;
      }
    printf("%.0f ", (double)written / (now_s() - begun));
  }
  printf("\n");
  return 0;
}
