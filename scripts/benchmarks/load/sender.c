#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint16_t *sender_of;

/* The next message, on the next channel in turn. `due_ns` is when it should have left: latencies count from there, so that a
 * generator or a server that falls behind is seen and not hidden. */
void send_message(Conn *c, uint64_t due_ns) {
  static Bytes body, request;
  static char *text;
  if (n_sent >= MESSAGES_MAX) fail("more than %u messages", MESSAGES_MAX);
  if (!text) {
    text = malloc((size_t)opt.text_bytes + 1);
    memset(text, 'x', (size_t)opt.text_bytes);
    text[opt.text_bytes] = 0;
  }
  c->message = n_sent++;
  c->sent_ns = due_ns;
  c->busy = true;
  c->channel = c->message % (uint32_t)opt.channels;
  sender_of[c->message] = (uint16_t)(c - conns);
  sent_on[c->channel]++;
  char stamp[TEXT_MIN_BYTES + 1];
  snprintf(stamp, sizeof stamp, "%c%c%016llx%08x", MARKER_1, MARKER_2, (unsigned long long)due_ns, c->message);
  memcpy(text, stamp, TEXT_MIN_BYTES);

  Role *r = &opt.roles[SENDER];
  body.bytes = 0;
  fill(&body, r->body, c->channel, text);
  if (r->ws) {
    send_frame(c, 1, body.data, body.bytes);
    return;
  }
  char rest[160];
  request.bytes = 0;
  add_bytes(&request, "POST ", 5);
  fill(&request, r->path, c->channel, NULL);
  int n = snprintf(rest, sizeof rest,
                   " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                   opt.port, body.bytes);
  add_bytes(&request, rest, (size_t)n);
  add_bytes(&request, body.data, body.bytes);
  send_all(c, request.data, request.bytes);
}

static void acked(Conn *c) {
  if (!c->busy) return;
  c->busy = false;
  n_acked++;
  acked_on[c->channel]++;
  stats.acks++;
  if (stats.recording) add_latency(&stats.ack, now_ns() - c->sent_ns);
  sender_idle(c);
}

/* Bytes of one whole HTTP answer at the start of `in`, 0 when it is not whole yet. */
static size_t whole_answer(Bytes *in) {
  char *end = memmem(in->data, in->bytes, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t head = (size_t)(end + 4 - in->data), length = 0;
  for (char *line = in->data; line < end; line++) {
    line = memchr(line, '\n', (size_t)(end - line));
    if (!line) break;
    if (!strncasecmp(line + 1, "content-length:", 15)) length = strtoul(line + 16, NULL, 10);
    if (!strncasecmp(line + 1, "transfer-encoding:", 18)) { /* chunked: the answers here are one small chunk */
      char *last = memmem(in->data + head, in->bytes - head, "0\r\n\r\n", 5);
      return last ? (size_t)(last + 5 - in->data) : 0;
    }
  }
  return in->bytes >= head + length ? head + length : 0;
}

void on_sender_bytes(Conn *c, const uint8_t *data, size_t n) {
  add_bytes(&c->input, data, n);
  Role *r = &opt.roles[SENDER];
  if (r->ws) {
    char *at = memmem(c->input.data, c->input.bytes, r->ack, strlen(r->ack));
    if (at) {
      c->input.bytes = 0;
      acked(c);
    } else if (c->input.bytes > 65536) {
      c->input.bytes = 0;
    }
    return;
  }
  size_t used = whole_answer(&c->input);
  if (!used) return;
  bool good = c->input.bytes > 12 && c->input.data[9] == '2';
  if (!good) note_error("answer: %.*s", (int)(used < 180 ? used : 180), c->input.data);
  memmove(c->input.data, c->input.data + used, c->input.bytes - used);
  c->input.bytes -= used;
  if (good) {
    acked(c);
  } else {
    c->busy = false;
    sent_on[c->channel]--;
    sender_idle(c);
  }
}
