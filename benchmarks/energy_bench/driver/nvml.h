/* What the files of the driver share: the script in force, and the way into every call. */
#ifndef TRIMTAB_BENCH_NVML_H
#define TRIMTAB_BENCH_NVML_H

#include "script.h"

/* NVML's own numbers. */
enum {
    OK = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    UNKNOWN = 999,
};

typedef int result;

extern struct script the_script;

/* The board of a handle, of a slice's too; NULL: it is neither. */
struct board *board_of(void *handle);
struct slice *slice_of(void *handle);

/* Begin a call on a board: takes its time, and says when it is now and whether the board answers. */
result enter(void *handle, const char *function, struct board **board, double *now);

#define ENTER(handle)                                              \
    struct board *board;                                           \
    double now;                                                    \
    result entered = enter(handle, __func__, &board, &now);        \
    if (entered != OK)                                             \
        return entered

#endif
