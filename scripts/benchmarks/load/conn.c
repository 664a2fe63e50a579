#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t room[HEADROOM_BYTES + RECV_BYTES];

static Role *role(const Conn *c) { return &opt.roles[c->kind]; }

static void watch(Conn *c, int op, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, op, c->fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

void open_conn(Conn *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket: %s (%d connections open)", strerror(errno), n_ready);
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* Reset on close: thousands of connections in TIME_WAIT would be in the way of the next round. */
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
  c->state = CONNECTING;
  watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void close_conn(Conn *c, const char *why) {
  if (c->state == CLOSED) return;
  if (c->state == READY) n_ready--;
  note_error("connection %d (%s) closed: %s", (int)(c - conns), (const char *[]){"subscriber", "sender", "late"}[c->kind], why);
  stats.closed++;
  close(c->fd);
  c->state = CLOSED;
}

/* What is sent is small and one at a time, so a full socket buffer means that the server has stopped reading. */
void send_all(Conn *c, const char *data, size_t n) {
  ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
  if (sent != (ssize_t)n) close_conn(c, sent < 0 ? strerror(errno) : "the server does not read");
}

void send_frame(Conn *c, uint8_t opcode, const char *data, size_t n) {
  static Bytes out;
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t head[4] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | (n < 126 ? n : 126)), (uint8_t)(n >> 8), (uint8_t)n};
  if (n > 65535) fail("a frame of %zu bytes", n);
  out.bytes = 0;
  add_bytes(&out, head, n < 126 ? 2 : 4);
  add_bytes(&out, mask, 4);
  size_t start = out.bytes;
  add_bytes(&out, data, n);
  for (size_t i = 0; i < n; i++) out.data[start + i] ^= (char)mask[i & 3];
  send_all(c, out.data, out.bytes);
}

/* Say what is to be said until the next thing to wait for. */
static void run_steps(Conn *c) {
  Role *r = role(c);
  while (c->state == STEPS && c->step < r->n_steps && !r->steps[c->step].wait) {
    Bytes text = {0};
    fill(&text, r->steps[c->step++].text, c->channel, NULL);
    send_frame(c, 1, text.data, text.bytes);
    free(text.data);
  }
  if (c->state == STEPS && c->step == r->n_steps) {
    c->state = READY;
    n_ready++;
    free(c->input.data);
    c->input = (Bytes){0};
  }
}

static void on_control(Conn *c) {
  if (c->opcode == 9) send_frame(c, 10, c->control_in.data, c->control_in.bytes);
  if (c->opcode == 8) {
    unsigned code = c->control_in.bytes >= 2 ? (uint8_t)c->control_in.data[0] << 8 | (uint8_t)c->control_in.data[1] : 1005;
    char why[40];
    snprintf(why, sizeof why, "close code %u", code);
    close_conn(c, why);
  }
}

/* Step over frames by their length; answer pings and notice a close. */
static void walk_frames(Conn *c, const uint8_t *data, size_t n) {
  for (size_t at = 0; at < n && c->state != CLOSED;) {
    if (c->skip) {
      size_t take = c->skip < n - at ? c->skip : n - at;
      if (c->control) add_bytes(&c->control_in, data + at, take);
      at += take;
      c->skip -= take;
    } else {
      c->head[c->head_bytes++] = data[at++];
      if (c->head_bytes < 2) continue;
      uint8_t size = c->head[1] & 127;
      int need = size < 126 ? 2 : size == 126 ? 4 : 10;
      if (c->head_bytes < need) continue;
      c->skip = size;
      if (need > 2) c->skip = 0;
      for (int i = 2; i < need; i++) c->skip = c->skip << 8 | c->head[i];
      c->opcode = c->head[0] & 15;
      c->control = c->opcode >= 8;
      c->control_in.bytes = 0;
      c->head_bytes = 0;
    }
    if (!c->skip && c->control && !c->head_bytes) {
      on_control(c);
      c->control = false;
    }
  }
}

static uint64_t hex(const uint8_t *p, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) value = value << 4 | (uint64_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
  return value;
}

/* Sampled subscribers read each stamp: latency, and whether anything came twice or in another order. */
static void read_stamps(Conn *c, const uint8_t *data, size_t n) {
  uint64_t now = now_ns();
  Sample *s = c->sample;
  const uint8_t *p = data, *end = data + n;
  while ((p = memchr(p, MARKER_1, (size_t)(end - p)))) {
    if (end - p < TEXT_MIN_BYTES) break;
    if (p[1] == MARKER_2) {
      uint64_t sent = hex(p + 2, 16);
      uint32_t number = (uint32_t)hex(p + 18, 8);
      if (number < MESSAGES_MAX) {
        if (stats.recording) add_latency(&stats.delivery, now > sent ? now - sent : 0);
        if (s->seen[number >> 3] & 1 << (number & 7)) s->duplicates++;
        s->seen[number >> 3] |= (uint8_t)(1 << (number & 7));
        uint32_t *last = &s->last_of[sender_of[number]];
        if (number < *last) s->disordered++;
        *last = number + 1;
        s->order_hash = (s->order_hash ^ number) * 0x100000001b3u;
      }
    }
    p++;
  }
  size_t rest = p ? (size_t)(end - p) : 0;
  memcpy(c->carry, end - rest, rest);
  c->carry_bytes = (uint8_t)rest;
}

static void on_stream(Conn *c, const uint8_t *data, size_t n) {
  if (!n) return;
  if (c->kind == SENDER) {
    if (c->state == READY) on_sender_bytes(c, data, n);
    if (!role(c)->ws) return;
  } else {
    size_t found = count_markers(data, n);
    if (c->last == MARKER_1 && data[0] == MARKER_2) found++;
    c->last = data[n - 1];
    c->markers += found;
    stats.deliveries += found;
    if (found) stats.delivered_bytes += n;
    stats.reads++;
    if (c->sampled) {
      uint8_t *start = (uint8_t *)data - c->carry_bytes; /* the headroom in front of `room` */
      memcpy(start, c->carry, c->carry_bytes);
      read_stamps(c, start, n + c->carry_bytes);
    }
  }
  if (c->state == STEPS) add_bytes(&c->input, data, n);
  walk_frames(c, data, n);
  while (c->state == STEPS) {
    const char *awaited = role(c)->steps[c->step].text;
    char *at = memmem(c->input.data, c->input.bytes, awaited, strlen(awaited));
    if (!at) break;
    size_t used = (size_t)(at - c->input.data) + strlen(awaited);
    memmove(c->input.data, c->input.data + used, c->input.bytes - used);
    c->input.bytes -= used;
    c->step++;
    run_steps(c);
  }
}

static void on_handshake(Conn *c, const uint8_t *data, size_t n) {
  add_bytes(&c->input, data, n);
  char *end = memmem(c->input.data, c->input.bytes, "\r\n\r\n", 4);
  if (!end) return;
  if (c->input.bytes < 12 || memcmp(c->input.data + 8, " 101", 4)) {
    char why[60];
    snprintf(why, sizeof why, "handshake: %.40s", c->input.data);
    close_conn(c, why);
    return;
  }
  size_t rest = c->input.bytes - (size_t)(end + 4 - c->input.data); /* frames that came with it: the end of `data` */
  c->input.bytes = 0;
  c->state = STEPS;
  run_steps(c);
  on_stream(c, data + n - rest, rest);
}

static void on_connected(Conn *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) {
    close_conn(c, strerror(error));
    return;
  }
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  if (c->kind == SENDER && !role(c)->ws) {
    c->state = READY;
    n_ready++;
    return;
  }
  Bytes head = {0};
  char rest[300];
  add_bytes(&head, "GET ", 4);
  fill(&head, role(c)->path, c->channel, NULL);
  snprintf(rest, sizeof rest,
           " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", opt.port);
  add_bytes(&head, rest, strlen(rest));
  c->state = HANDSHAKE;
  send_all(c, head.data, head.bytes);
  free(head.data);
}

void on_event(Conn *c, uint32_t events) {
  if (c->state == CLOSED) return;
  if (c->state == CONNECTING) {
    on_connected(c);
    return;
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  ssize_t n = recv(c->fd, room + HEADROOM_BYTES, RECV_BYTES, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) close_conn(c, n ? strerror(errno) : "end of stream");
  else if (c->state == HANDSHAKE) on_handshake(c, room + HEADROOM_BYTES, (size_t)n);
  else on_stream(c, room + HEADROOM_BYTES, (size_t)n);
}
