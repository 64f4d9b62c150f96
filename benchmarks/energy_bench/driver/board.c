/* The energy of a board and what its sensors make of it. The same sums as trace.py, which says the truth. */
#include "board.h"

#include <math.h>
#include <stddef.h>

static double larger(double one, double other) { return one > other ? one : other; }
static double smaller(double one, double other) { return one < other ? one : other; }

/* Energy of a wave since its start. */
static double wave_j(const struct piece *piece, double seconds) {
    double high_s = piece->share * piece->period;
    double whole = floor(seconds / piece->period);
    double rest = seconds - whole * piece->period;
    double a_period = piece->from * high_s + piece->to * (piece->period - high_s);
    return whole * a_period + piece->from * smaller(rest, high_s) + piece->to * larger(0, rest - high_s);
}

static double ramp_w(const struct piece *piece, double at) {
    return piece->from + (piece->to - piece->from) * (at - piece->start) / (piece->end - piece->start);
}

static double piece_j(const struct piece *piece, double start, double end) {
    if (piece->shape == WAVE)
        return wave_j(piece, end - piece->start) - wave_j(piece, start - piece->start);
    return (ramp_w(piece, start) + ramp_w(piece, end)) / 2 * (end - start);
}

double energy_j(const struct board *board, double start, double end) {
    double sum = 0, outside = end - start;
    if (end < start)
        return -energy_j(board, end, start);
    for (unsigned i = 0; i < board->piece_count; i++) {
        const struct piece *piece = &board->pieces[i];
        double from = larger(start, piece->start), to = smaller(end, piece->end);
        if (from >= to)
            continue;
        sum += piece_j(piece, from, to);
        outside -= to - from;
    }
    return sum + board->idle_w * outside;
}

double power_w(const struct board *board, double at) {
    for (unsigned i = 0; i < board->piece_count; i++) {
        const struct piece *piece = &board->pieces[i];
        if (at < piece->start || at >= piece->end)
            continue;
        if (piece->shape == RAMP)
            return ramp_w(piece, at);
        return fmod(at - piece->start, piece->period) < piece->share * piece->period ? piece->from : piece->to;
    }
    return board->idle_w;
}

double renewed_at(const struct board *board, double at) {
    return floor((at - board->phase_s) / board->update_s) * board->update_s + board->phase_s;
}

const struct event *event_now(const struct board *board, enum kind kind, double at) {
    for (unsigned i = 0; i < board->event_count; i++) {
        const struct event *event = &board->events[i];
        if (event->kind == kind && event->start <= at && at < event->end)
            return event;
    }
    return NULL;
}

/* What a counter at the wrong rate leaves out (or, below 0, adds) between two times. */
static double uncounted_j(const struct board *board, double start, double end) {
    double sum = 0;
    for (unsigned i = 0; i < board->event_count; i++) {
        const struct event *event = &board->events[i];
        double from = larger(start, event->start), to = smaller(end, event->end);
        if (event->kind == RATE && from < to)
            sum += (1 - event->value) * energy_j(board, from, to);
    }
    return sum;
}

uint64_t counter_mj(const struct board *board, double at) {
    const struct event *wrong = event_now(board, NONSENSE_COUNTER, at);
    double since = 0, joules = board->initial_j, now = renewed_at(board, at);
    if (wrong != NULL)
        return (uint64_t)wrong->whole;
    for (unsigned i = 0; i < board->event_count; i++) { /* of a reset: `value` is when it counts anew */
        const struct event *event = &board->events[i];
        if (event->kind == RESET && event->value <= at && event->value >= since) {
            since = event->value;
            joules = 0;
            now = larger(now, since);
        }
    }
    joules += energy_j(board, since, now) - uncounted_j(board, since, now);
    return (uint64_t)floor(larger(0, joules) * 1e3 + 1e-6);
}

static unsigned mean_mw(const struct board *board, double at, double window) {
    const struct event *wrong = event_now(board, NONSENSE_POWER, at);
    double end = renewed_at(board, at);
    if (wrong != NULL)
        return (unsigned)wrong->whole;
    return (unsigned)lround(energy_j(board, end - window, end) / window * 1e3);
}

unsigned average_mw(const struct board *board, double at) { return mean_mw(board, at, board->average_s); }
unsigned instant_mw(const struct board *board, double at) { return mean_mw(board, at, board->window_s); }
