#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  exit(1);
}

void note_error(const char *format, ...) {
  stats.errors++;
  if (stats.first_error[0]) return;
  va_list args;
  va_start(args, format);
  vsnprintf(stats.first_error, sizeof stats.first_error, format, args);
  va_end(args);
  for (char *p = stats.first_error; *p; p++) /* it is printed inside JSON */
    if (*p < 32 || *p == '"' || *p == '\\' || *p > 126) *p = ' ';
}

void add_bytes(Bytes *to, const void *data, size_t n) {
  if (to->bytes + n > to->room) {
    to->room = (to->bytes + n) * 2;
    to->data = realloc(to->data, to->room);
    if (!to->data) fail("out of memory");
  }
  memcpy(to->data + to->bytes, data, n);
  to->bytes += n;
}

/* Append `template` with {c} replaced by the channel's number and {m} by `text`. */
void fill(Bytes *to, const char *template, uint32_t channel, const char *text) {
  for (const char *p = template; *p;) {
    const char *brace = strchr(p, '{');
    if (!brace) brace = p + strlen(p);
    add_bytes(to, p, (size_t)(brace - p));
    p = brace;
    if (!*p) return;
    if (!strncmp(p, "{c}", 3)) {
      char number[12];
      add_bytes(to, number, (size_t)snprintf(number, sizeof number, "%u", channel));
      p += 3;
    } else if (text && !strncmp(p, "{m}", 3)) {
      add_bytes(to, text, strlen(text));
      p += 3;
    } else {
      add_bytes(to, p++, 1);
    }
  }
}

void add_latency(Latencies *to, uint64_t ns) {
  if (to->count == to->room) {
    if (to->room >= (1u << 23)) return; /* 8 million samples say enough */
    to->room = to->room ? to->room * 2 : 1 << 16;
    to->values = realloc(to->values, to->room * sizeof *to->values);
    if (!to->values) fail("out of memory");
  }
  uint64_t units = ns / 100;
  to->values[to->count++] = units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* In milliseconds. Sorts in place: call it when nothing is added any more. -1 without samples. */
double percentile(Latencies *of, double p) {
  if (!of->count) return -1;
  if (p < 0 || !of->room) return -1;
  static Latencies *sorted;
  if (sorted != of) qsort(of->values, of->count, sizeof *of->values, compare);
  sorted = of;
  size_t at = (size_t)(p * (double)(of->count - 1) + 0.5);
  return of->values[at] / 1e4;
}

/* Both compares and the sum are plain enough for the compiler to vectorise: about 20 GB/s, so counting is not what limits. */
size_t count_markers(const uint8_t *data, size_t n) {
  size_t total = 0;
  for (size_t at = 0; at + 1 < n;) {
    size_t end = n - 1 - at > 128 ? at + 128 : n - 1;
    uint8_t part = 0;
    for (size_t i = at; i < end; i++) part = (uint8_t)(part + ((data[i] == MARKER_1) & (data[i + 1] == MARKER_2)));
    total += part;
    at = end;
  }
  return total;
}
