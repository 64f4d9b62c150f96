/* The script that the driver plays: boards, what they draw, and what befalls them. */
#ifndef TRIMTAB_BENCH_SCRIPT_H
#define TRIMTAB_BENCH_SCRIPT_H

#include "board.h"

struct script {
    unsigned board_count;
    double start, call_s;
    volatile double *virtual_s; /* NULL: the real clock, CLOCK_MONOTONIC */
    struct board boards[MAX_BOARDS];
};

/* Read the script that FAKE_NVML_SCRIPT names; false: there is none, or it is wrong (told on stderr). */
bool load_script(struct script *script);

/* Seconds since the script's start. */
double script_now(const struct script *script);

/* A time of the script as drivers stamp it, in microseconds: of the wall clock, or of the virtual one. */
long long stamp_us(const struct script *script, double at);

/* Let seconds pass: asleep, or by putting the virtual clock forward. */
void pass(const struct script *script, double seconds);

#endif
