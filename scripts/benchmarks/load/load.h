/* The load generator: subscribers, senders and what was measured. Linux only (epoll, timerfd, CPU affinity).
 *
 * One thread, one epoll. A subscriber costs one recv() per readable event and one pass over its bytes that counts markers;
 * frames are only stepped over by their length, so that pings are answered. Everything about a peer's protocol is in the
 * command line (see main.c), nothing in here knows one.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message text is MARKER, 16 hex digits of the send time in ns, 8 hex digits of the message number, then padding. The
 * marker is two ASCII characters that no JSON encoder escapes and that cannot occur in a frame header below 16 kB. */
#define MARKER_1 '^'
#define MARKER_2 '~'
#define STAMP_BYTES 24
#define TEXT_MIN_BYTES (2 + STAMP_BYTES)
#define MESSAGES_MAX (1u << 24)
#define RECV_BYTES (256 * 1024)
#define HEADROOM_BYTES 128 /* what one connection can carry over from its last read, in front of the next */

typedef struct {
  char *data;
  size_t bytes, room;
} Bytes;

typedef struct { /* one step of what a client says after its handshake: say TEXT, or wait until TEXT was received */
  bool wait;
  const char *text;
} Step;

typedef struct { /* how one kind of connection is opened, and for senders what it sends */
  int count;
  const char *path;
  Step steps[8];
  int n_steps;
  const char *body; /* senders: the message with {c} (channel) and {m} (text) */
  bool ws;          /* senders: over WebSocket instead of HTTP POST */
  const char *ack;  /* senders over WebSocket: what an answer contains */
} Role;

typedef enum { SUBSCRIBER, SENDER, LATE } Kind;
typedef enum { CLOSED, CONNECTING, HANDSHAKE, STEPS, READY } State;

typedef struct {
  int fd;
  uint8_t kind, state, step;
  bool sampled, control, busy;
  uint8_t last;                         /* the last byte of the last read: a marker may be split over two */
  uint8_t head_bytes, carry_bytes, opcode;
  uint8_t head[10], carry[HEADROOM_BYTES];
  uint64_t skip;                        /* payload bytes of the current frame still to come */
  uint32_t channel;
  uint64_t markers;
  uint64_t sent_ns;                     /* senders: when the message under way was due */
  uint32_t message;                     /* senders: its number */
  Bytes input;                          /* handshake and HTTP answers */
  Bytes control_in;
  struct Sample *sample;
} Conn;

typedef struct Sample { /* what only sampled subscribers keep */
  uint8_t *seen;        /* a bit a message */
  uint32_t *last_of;    /* by sender: the last message number + 1 */
  uint64_t order_hash;
  uint64_t duplicates, disordered;
} Sample;

typedef struct { /* latencies in units of 0.1 µs */
  uint32_t *values;
  size_t count, room;
} Latencies;

typedef struct {
  int port, channels, text_bytes, in_flight, sampled, prefill, limit_s;
  double warm_s, seconds, rate;
  bool hold;
  Role roles[3];
} Options;

typedef struct {
  uint64_t deliveries, delivered_bytes, reads, acks, errors, closed;
  Latencies ack, delivery;
  bool recording;
  char first_error[200];
} Stats;

extern Options opt;
extern Stats stats;
extern Conn *conns;
extern int n_conns, n_ready, epoll_fd;
extern uint32_t *sent_on, *acked_on; /* by channel */
extern uint32_t n_sent, n_acked;

/* util.c */
uint64_t now_ns(void);
void add_bytes(Bytes *to, const void *data, size_t n);
void fill(Bytes *to, const char *template, uint32_t channel, const char *text);
void add_latency(Latencies *to, uint64_t ns);
double percentile(Latencies *of, double p);
size_t count_markers(const uint8_t *data, size_t n);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void note_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* conn.c: a WebSocket connection up to READY, and its frames after that */
void open_conn(Conn *c);
void on_event(Conn *c, uint32_t events);
void send_frame(Conn *c, uint8_t opcode, const char *data, size_t n);
void send_all(Conn *c, const char *data, size_t n);
void close_conn(Conn *c, const char *why);

/* sender.c */
void send_message(Conn *c, uint64_t due_ns);
void on_sender_bytes(Conn *c, const uint8_t *data, size_t n);
void sender_idle(Conn *c); /* main.c: its answer has arrived; gives it the next message or none */
extern uint16_t *sender_of; /* by message number */

#endif
