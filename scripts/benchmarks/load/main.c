/* load: see the options below; prints one JSON object a line: connected, start, stop, result. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

Options opt = {.channels = 1, .text_bytes = 40, .in_flight = 64, .sampled = 4, .limit_s = 120, .warm_s = 0.5, .seconds = 2};
Stats stats;
Conn *conns;
int n_conns, n_ready, epoll_fd;
uint32_t *sent_on, *acked_on, n_sent, n_acked;

static bool sending;       /* senders take the next message by themselves (closed loop) */
static uint32_t send_until = MESSAGES_MAX;
static uint64_t rate_start_ns, rate_taken;
static int timer_fd;

static const char usage[] =
    "load --port N [--channels N] [--text BYTES] [--warm S] [--seconds S] [--rate PER_S] [--prefill N] [--sampled N]\n"
    "     [--in-flight N] [--limit S] [--cpu N] [--hold]\n"
    "     --subs N     then --path P [--hello TEXT | --expect TEXT]...\n"
    "     --senders N  then --path P --body TEXT [--ws --ack TEXT [--hello TEXT | --expect TEXT]...]\n"
    "     --late N     then --path P [--hello TEXT | --expect TEXT]...\n"
    "{c} stands for the channel's number, {m} for the message text.\n";

static uint64_t due_ns(uint64_t nth) { return rate_start_ns + (uint64_t)((double)nth * 1e9 / opt.rate); }

static void arm_timer(void) {
  uint64_t at = due_ns(rate_taken);
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Fixed rate: hand every message that is due to a free sender. One that finds none waits, and its latency says so. */
static void send_due(void) {
  static int next;
  uint64_t now = now_ns();
  int first = opt.roles[SUBSCRIBER].count, count = opt.roles[SENDER].count, tried = 0;
  while (due_ns(rate_taken) <= now && tried < count) {
    Conn *c = &conns[first + next];
    next = (next + 1) % count;
    if (c->state != READY || c->busy) {
      tried++;
      continue;
    }
    tried = 0;
    send_message(c, due_ns(rate_taken++));
  }
  if (due_ns(rate_taken) > now) arm_timer();
}

void sender_idle(Conn *c) {
  if (!sending || n_sent >= send_until) return;
  if (opt.rate > 0) {
    if (due_ns(rate_taken) <= now_ns()) send_due();
  } else {
    send_message(c, now_ns());
  }
}

/* One turn of the loop, waiting at most until `until_ns`. */
static void turn(uint64_t until_ns) {
  struct epoll_event events[512];
  uint64_t now = now_ns();
  int wait_ms = until_ns > now ? (int)((until_ns - now) / 1000000) + 1 : 0;
  int n = epoll_wait(epoll_fd, events, 512, wait_ms > 100 ? 100 : wait_ms);
  for (int i = 0; i < n; i++) {
    if (events[i].data.ptr) {
      on_event(events[i].data.ptr, events[i].events);
    } else {
      uint64_t fired;
      if (read(timer_fd, &fired, sizeof fired) > 0 && sending) send_due();
    }
  }
}

static Sample *new_sample(void) {
  Sample *s = calloc(1, sizeof *s);
  s->seen = calloc(MESSAGES_MAX / 8, 1);
  s->last_of = calloc((size_t)n_conns, sizeof *s->last_of);
  return s;
}

/* Open conns[first..last) with at most --in-flight on their way at once. Returns seconds taken. */
static double open_range(int first, int last, double wait_s) {
  uint64_t start = now_ns(), end = start + (uint64_t)(wait_s * 1e9);
  int opened = first, ready_before = n_ready;
  uint64_t closed_before = stats.closed;
  for (;;) {
    int done = n_ready - ready_before + (int)(stats.closed - closed_before);
    while (opened < last && opened - first - done < opt.in_flight) open_conn(&conns[opened++]);
    if (done >= last - first || now_ns() > end) break;
    turn(end);
  }
  return (double)(now_ns() - start) / 1e9;
}

static double cpu_s(struct rusage *u) {
  getrusage(RUSAGE_SELF, u);
  return (double)u->ru_utime.tv_sec + (double)u->ru_utime.tv_usec / 1e6 + (double)u->ru_stime.tv_sec + (double)u->ru_stime.tv_usec / 1e6;
}

static void start_sending(void) {
  sending = true;
  int first = opt.roles[SUBSCRIBER].count;
  if (opt.rate > 0) {
    rate_start_ns = now_ns();
    rate_taken = 0;
    arm_timer();
    return;
  }
  for (int i = 0; i < opt.roles[SENDER].count && n_sent < send_until; i++)
    if (conns[first + i].state == READY && !conns[first + i].busy) send_message(&conns[first + i], now_ns());
}

static bool whole(const Conn *c) { return c->kind == SENDER ? !c->busy : c->state == CLOSED || c->markers >= sent_on[c->channel]; }

/* Wait until every subscriber has every message, or nothing has come for `quiet_s`. */
static void drain(double quiet_s, double limit_s) {
  uint64_t end = now_ns() + (uint64_t)(limit_s * 1e9), quiet_end = 0, before = ~0ull;
  for (;;) {
    bool all = true;
    for (int i = 0; i < n_conns && all; i++) all = conns[i].state < READY || whole(&conns[i]);
    uint64_t now = now_ns();
    if (all || now > end) return;
    if (stats.deliveries + stats.acks != before) {
      before = stats.deliveries + stats.acks;
      quiet_end = now + (uint64_t)(quiet_s * 1e9);
    } else if (now > quiet_end) {
      return;
    }
    uint64_t look = now + 20000000;
    while (now_ns() < look) turn(look);
  }
}

static void print_latencies(const char *name, Latencies *of) {
  printf("\"%s_ms\":{\"samples\":%zu,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f},", name, of->count,
         percentile(of, .5), percentile(of, .9), percentile(of, .99), percentile(of, .999), percentile(of, 1));
}

static void event(const char *name) {
  printf("{\"event\":\"%s\"}\n", name);
  fflush(stdout);
}

static void on_alarm(int signal_number) {
  (void)signal_number;
  static const char text[] = "load: took longer than --limit\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(3);
  _exit(3);
}

static void parse(int argc, char **argv) {
  enum { PORT = 256, CHANNELS, TEXT, WARM, SECONDS, RATE, PREFILL, SAMPLED, IN_FLIGHT, LIMIT, CPU, HOLD, SUBS, SENDERS, LATE_, PATH, BODY,
         WS, ACK, HELLO, EXPECT };
  static const struct option names[] = {
      {"port", 1, 0, PORT}, {"channels", 1, 0, CHANNELS}, {"text", 1, 0, TEXT}, {"warm", 1, 0, WARM}, {"seconds", 1, 0, SECONDS},
      {"rate", 1, 0, RATE}, {"prefill", 1, 0, PREFILL}, {"sampled", 1, 0, SAMPLED}, {"in-flight", 1, 0, IN_FLIGHT},
      {"limit", 1, 0, LIMIT}, {"cpu", 1, 0, CPU}, {"hold", 0, 0, HOLD}, {"subs", 1, 0, SUBS}, {"senders", 1, 0, SENDERS},
      {"late", 1, 0, LATE_}, {"path", 1, 0, PATH}, {"body", 1, 0, BODY}, {"ws", 0, 0, WS}, {"ack", 1, 0, ACK},
      {"hello", 1, 0, HELLO}, {"expect", 1, 0, EXPECT}, {0, 0, 0, 0}};
  Role *r = &opt.roles[SUBSCRIBER];
  int o;
  while ((o = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (o) {
      case PORT: opt.port = atoi(optarg); break;
      case CHANNELS: opt.channels = atoi(optarg); break;
      case TEXT: opt.text_bytes = atoi(optarg); break;
      case WARM: opt.warm_s = atof(optarg); break;
      case SECONDS: opt.seconds = atof(optarg); break;
      case RATE: opt.rate = atof(optarg); break;
      case PREFILL: opt.prefill = atoi(optarg); break;
      case SAMPLED: opt.sampled = atoi(optarg); break;
      case IN_FLIGHT: opt.in_flight = atoi(optarg); break;
      case LIMIT: opt.limit_s = atoi(optarg); break;
      case HOLD: opt.hold = true; break;
      case CPU: {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(atoi(optarg), &set);
        if (sched_setaffinity(0, sizeof set, &set)) fail("cannot run on CPU %s: %s", optarg, strerror(errno));
        break;
      }
      case SUBS: r = &opt.roles[SUBSCRIBER]; r->count = atoi(optarg); break;
      case SENDERS: r = &opt.roles[SENDER]; r->count = atoi(optarg); break;
      case LATE_: r = &opt.roles[LATE]; r->count = atoi(optarg); break;
      case PATH: r->path = optarg; break;
      case BODY: r->body = optarg; break;
      case WS: r->ws = true; break;
      case ACK: r->ack = optarg; break;
      case HELLO: case EXPECT:
        if (r->n_steps == 8) fail("at most 8 steps");
        r->steps[r->n_steps++] = (Step){.wait = o == EXPECT, .text = optarg};
        break;
      default: fprintf(stderr, "%s", usage); exit(2);
    }
  }
  if (!opt.port || opt.channels < 1 || opt.text_bytes < TEXT_MIN_BYTES || opt.in_flight < 1) fail("bad options\n%s", usage);
  if (opt.roles[SENDER].count && !opt.roles[SENDER].body) fail("--senders needs --body");
}

int main(int argc, char **argv) {
  parse(argc, argv);
  signal(SIGALRM, on_alarm);
  alarm((unsigned)opt.limit_s);
  prctl(PR_SET_TIMERSLACK, 1ul);
  prctl(PR_SET_PDEATHSIG, SIGKILL);

  int subs = opt.roles[SUBSCRIBER].count, senders = opt.roles[SENDER].count, late = opt.roles[LATE].count;
  n_conns = subs + senders + late;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if ((rlim_t)n_conns + 16 > files.rlim_cur) fail("%d connections need more open files than the limit of %lu", n_conns, (unsigned long)files.rlim_cur);

  conns = calloc((size_t)n_conns + 1, sizeof *conns);
  sent_on = calloc((size_t)opt.channels, sizeof *sent_on);
  acked_on = calloc((size_t)opt.channels, sizeof *acked_on);
  sender_of = calloc(MESSAGES_MAX, sizeof *sender_of);
  epoll_fd = epoll_create1(0);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event timer_event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &timer_event);
  for (int i = 0; i < n_conns; i++) {
    Conn *c = &conns[i];
    c->kind = i < subs ? SUBSCRIBER : i < subs + senders ? SENDER : LATE;
    c->channel = (uint32_t)(c->kind == SUBSCRIBER ? i % opt.channels : 0);
    /* spread over all subscribers: the first and the last to be written to are both among them */
    int every = opt.sampled > 1 && subs > opt.sampled ? (subs - 1) / (opt.sampled - 1) : 1;
    if (c->kind == SUBSCRIBER && i % every == 0 && i / every < opt.sampled) {
      c->sampled = true;
      c->sample = new_sample();
    }
  }

  double connect_s = open_range(0, subs, opt.limit_s * 0.6);
  printf("{\"event\":\"connected\",\"subscribers\":%d,\"seconds\":%.4f,\"error\":\"%s\"}\n", n_ready, connect_s, stats.first_error);
  fflush(stdout);
  int connected = n_ready;
  if (opt.hold) { /* idle: answer pings until standard input says go on */
    uint64_t until = now_ns() + (uint64_t)opt.limit_s * 1000000000u;
    struct epoll_event stdin_event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &stdin_event)) fail("--hold needs a pipe on standard input");
    char c;
    int flag = 1;
    while (now_ns() < until && flag) {
      struct epoll_event e[64];
      int n = epoll_wait(epoll_fd, e, 64, 1000);
      for (int i = 0; i < n; i++) {
        if (e[i].data.ptr) on_event(e[i].data.ptr, e[i].events);
        else if (read(0, &c, 1) <= 0 || c == '\n') flag = 0;
      }
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 0, NULL);
  }
  open_range(subs, subs + senders, 10);

  double rate = opt.rate;
  if (opt.prefill) { /* closed loop, as fast as it goes */
    opt.rate = 0;
    send_until = (uint32_t)opt.prefill;
    start_sending();
    uint64_t end = now_ns() + 30000000000ull;
    while (n_acked < send_until && now_ns() < end && !stats.closed) turn(end);
    sending = false;
    send_until = MESSAGES_MAX;
    drain(2, 20);
    opt.rate = rate;
  }
  /* A server may say 101 a moment before its subscriber is in the channel. */
  for (uint64_t settle = now_ns() + 200000000; now_ns() < settle;) turn(settle);

  double elapsed = 0, cpu = 0, replay_s = 0;
  uint64_t deliveries = 0, bytes = 0, reads = 0, acks = 0;
  struct rusage u;
  if (senders && opt.seconds > 0) {
    start_sending();
    uint64_t mark = now_ns() + (uint64_t)(opt.warm_s * 1e9);
    while (now_ns() < mark) turn(mark);
    stats.recording = true;
    deliveries = stats.deliveries, bytes = stats.delivered_bytes, reads = stats.reads, acks = stats.acks;
    event("start");
    cpu = cpu_s(&u);
    uint64_t from = now_ns(), end = from + (uint64_t)(opt.seconds * 1e9);
    for (int i = subs + senders; i < n_conns; i++) open_conn(&conns[i]);
    for (int behind = late; now_ns() < end && (!late || behind);) {
      turn(end);
      while (behind && conns[n_conns - behind].markers >= (uint64_t)opt.prefill) behind--;
      if (late && !behind) replay_s = (double)(now_ns() - from) / 1e9;
    }
    elapsed = (double)(now_ns() - from) / 1e9;
    cpu = cpu_s(&u) - cpu;
    event("stop");
    stats.recording = false;
    deliveries = stats.deliveries - deliveries, bytes = stats.delivered_bytes - bytes, reads = stats.reads - reads;
    acks = stats.acks - acks;
    sending = false;
    drain(6, 40);
  }

  uint64_t lost = 0, extra = 0, duplicates = 0, disordered = 0, short_subs = 0;
  bool same_order = true;
  const Sample *reference = NULL;
  for (int i = 0; i < n_conns; i++) {
    Conn *c = &conns[i];
    if (c->kind == SENDER || (c->kind == LATE && !elapsed)) continue;
    uint32_t acked = acked_on[c->channel], sent = sent_on[c->channel];
    if (c->markers < acked) lost += acked - c->markers, short_subs++;
    if (c->markers > sent) extra += c->markers - sent;
    if (!c->sampled) continue;
    duplicates += c->sample->duplicates;
    disordered += c->sample->disordered;
    if (opt.channels == 1 && reference && c->markers == sent && reference->order_hash != c->sample->order_hash) same_order = false;
    if (c->markers == sent) reference = c->sample;
  }
  printf("{\"event\":\"result\",\"subscribers\":%d,\"senders\":%d,\"channels\":%d,\"connect_s\":%.4f,\"seconds\":%.4f,", connected, senders,
         opt.channels, connect_s, elapsed);
  printf("\"deliveries\":%lu,\"acks\":%lu,\"sent_total\":%u,\"acked_total\":%u,\"bytes\":%lu,\"reads\":%lu,", (unsigned long)deliveries,
         (unsigned long)acks, n_sent, n_acked, (unsigned long)bytes, (unsigned long)reads);
  print_latencies("ack", &stats.ack);
  print_latencies("delivery", &stats.delivery);
  printf("\"lost\":%lu,\"short_subscribers\":%lu,\"extra\":%lu,\"duplicates\":%lu,\"disordered\":%lu,\"same_order\":%s,", (unsigned long)lost,
         (unsigned long)short_subs, (unsigned long)extra, (unsigned long)duplicates, (unsigned long)disordered, same_order ? "true" : "false");
  printf("\"replay_s\":%.4f,\"replay_events\":%lu,\"cpu_s\":%.4f,\"errors\":%lu,\"error\":\"%s\"}\n", replay_s,
         (unsigned long)late * (unsigned long)opt.prefill, cpu, (unsigned long)stats.errors, stats.first_error);
  return 0;
}
