/* A make-believe NVIDIA board: what a script says of it, and what follows from that. */
#ifndef TRIMTAB_BENCH_BOARD_H
#define TRIMTAB_BENCH_BOARD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MAX_BOARDS = 16,
    MAX_SLICES = 8,
    MAX_PIECES = 256,
    MAX_EVENTS = 64,
    NAME_SIZE = 96,
};

enum shape { RAMP, WAVE };
enum usage { USAGE_NONE, USAGE_AVERAGE, USAGE_INSTANT };
enum kind { RESET, OUTAGE, SLOW, RATE, NONSENSE_COUNTER, NONSENSE_POWER, PROCESS, THROTTLE, ECC, XID };

/* Power from `start` to `end` (s): a straight line from `from` to `to` (W), or a square wave: `from` for
 * `share` of each `period` since `start`, `to` for the rest. */
struct piece {
    enum shape shape;
    double start, end, from, to, period, share;
};

/* What happens from `start` to `end`; what the values mean depends on the kind (script.c). */
struct event {
    enum kind kind;
    double start, end, value, second;
    int64_t whole;
    char function[NAME_SIZE];
};

struct slice {
    char uuid[NAME_SIZE];
    unsigned slices;
    struct board *parent;
};

struct board {
    char uuid[NAME_SIZE], name[NAME_SIZE];
    unsigned index, architecture, slice_count, piece_count, event_count;
    bool counts, tells_average, tells_instant, module;
    enum usage usage;
    double update_s, phase_s, window_s, average_s, limit_w, idle_w, initial_j;
    uint64_t memory;
    struct piece pieces[MAX_PIECES];
    struct event events[MAX_EVENTS];
    struct slice slices[MAX_SLICES];
};

/* True energy (J) from `start` to `end`, whatever the sensors say. */
double energy_j(const struct board *board, double start, double end);
double power_w(const struct board *board, double at);

/* What the sensors say at `at`: values are renewed every `update_s`. */
double renewed_at(const struct board *board, double at);
uint64_t counter_mj(const struct board *board, double at);
unsigned average_mw(const struct board *board, double at);
unsigned instant_mw(const struct board *board, double at);

/* The event of a kind that is going on; NULL: none. */
const struct event *event_now(const struct board *board, enum kind kind, double at);

#endif
