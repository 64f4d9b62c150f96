/* Reads a script, a directive a line:
 *
 *   start S                    second 0 of the script on the clock
 *   clock PATH                 a file of one double, the virtual clock; the real one unless given
 *   call_us N                  every call keeps a core busy for so long
 *   board UUID                 what follows is of this board, until the next
 *   name TEXT | architecture N | counter 0/1 | average 0/1 | instant 0/1 | usage none/average/instant
 *   update_s S | phase_s S | window_s S | average_s S | limit_w W | idle_w W | initial_j J | memory BYTES
 *   module 0/1                 a Grace Hopper: power fields of the module's scope answer too
 *   slice UUID N               a MIG slice of N sevenths
 *   ramp T0 T1 W0 W1           power along a straight line (constant: W0 = W1)
 *   wave T0 T1 PERIOD SHARE W0 W1
 *   reset T0 T1 AT REINIT      calls fail from T0 to T1; the counter begins anew at AT; REINIT 1: the whole
 *                              driver is gone, and calls fail until nvmlInit is called again
 *   outage T0 T1 CODE          every call on the board returns CODE
 *   slow T0 T1 SECONDS NAME    the function NAME (or "all") takes so long
 *   rate T0 T1 FACTOR          the counter runs at FACTOR of the true rate
 *   nonsense_counter T0 T1 MJ | nonsense_power T0 T1 MW
 *   process T0 T1 PID SM_PERCENT BYTES
 *   throttle T0 T1 BITS | ecc T0 T1 COUNT TYPE (0 corrected, 1 not) | xid T0 T1 CODE (told at T0)
 */
#include "script.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void new_board(struct script *script, const char *uuid) {
    struct board *board = &script->boards[script->board_count];
    memset(board, 0, sizeof *board);
    snprintf(board->uuid, NAME_SIZE, "%s", uuid);
    snprintf(board->name, NAME_SIZE, "NVIDIA H100 80GB HBM3");
    board->index = script->board_count++;
    board->architecture = 9;
    board->counts = board->tells_average = board->tells_instant = true;
    board->usage = USAGE_AVERAGE;
    board->update_s = 0.1;
    board->window_s = 0.025;
    board->average_s = 1;
    board->limit_w = 700;
    board->idle_w = 60;
    board->memory = (uint64_t)80 << 30;
}

static bool set_fact(struct board *board, const char *word, const char *rest) {
    double value = strtod(rest, NULL);
    bool yes = value != 0;
    if (!strcmp(word, "name")) snprintf(board->name, NAME_SIZE, "%s", rest);
    else if (!strcmp(word, "architecture")) board->architecture = (unsigned)value;
    else if (!strcmp(word, "counter")) board->counts = yes;
    else if (!strcmp(word, "average")) board->tells_average = yes;
    else if (!strcmp(word, "instant")) board->tells_instant = yes;
    else if (!strcmp(word, "module")) board->module = yes;
    else if (!strcmp(word, "usage"))
        board->usage = !strcmp(rest, "none") ? USAGE_NONE : !strcmp(rest, "instant") ? USAGE_INSTANT : USAGE_AVERAGE;
    else if (!strcmp(word, "update_s")) board->update_s = value;
    else if (!strcmp(word, "phase_s")) board->phase_s = value;
    else if (!strcmp(word, "window_s")) board->window_s = value;
    else if (!strcmp(word, "average_s")) board->average_s = value;
    else if (!strcmp(word, "limit_w")) board->limit_w = value;
    else if (!strcmp(word, "idle_w")) board->idle_w = value;
    else if (!strcmp(word, "initial_j")) board->initial_j = value;
    else if (!strcmp(word, "memory")) board->memory = (uint64_t)value;
    else return false;
    return true;
}

static bool add_piece(struct board *board, const char *word, const char *rest) {
    struct piece piece = {.shape = strcmp(word, "ramp") ? WAVE : RAMP};
    int got = piece.shape == RAMP
        ? sscanf(rest, "%lf %lf %lf %lf", &piece.start, &piece.end, &piece.from, &piece.to) - 4
        : sscanf(rest, "%lf %lf %lf %lf %lf %lf", &piece.start, &piece.end, &piece.period, &piece.share,
                 &piece.from, &piece.to) - 6;
    if (got != 0 || board->piece_count == MAX_PIECES)
        return false;
    board->pieces[board->piece_count++] = piece;
    return true;
}

static const char *const KINDS[] = {"reset", "outage", "slow", "rate", "nonsense_counter", "nonsense_power",
                                    "process", "throttle", "ecc", "xid"};

static bool add_event(struct board *board, const char *word, const char *rest) {
    struct event event = {0};
    char values[2][NAME_SIZE] = {"0", "0"};
    unsigned kind = 0, count = sizeof KINDS / sizeof *KINDS;
    while (kind < count && strcmp(word, KINDS[kind]))
        kind++;
    if (kind == count || board->event_count == MAX_EVENTS)
        return false;
    int got = sscanf(rest, "%lf %lf %95s %95s %95s", &event.start, &event.end, values[0], values[1], event.function);
    if (got < 3)
        return false;
    event.kind = (enum kind)kind;
    event.value = strtod(values[0], NULL);
    event.whole = (int64_t)strtoull(values[0], NULL, 10);
    event.second = strtod(values[1], NULL);
    if (event.kind == SLOW)
        snprintf(event.function, NAME_SIZE, "%s", values[1]);
    if (event.kind == PROCESS)
        event.value = strtod(event.function, NULL); /* bytes; `whole` is the PID, `second` its share of the SMs */
    board->events[board->event_count++] = event;
    return true;
}

static bool add_slice(struct board *board, const char *rest) {
    struct slice *slice = &board->slices[board->slice_count];
    if (board->slice_count == MAX_SLICES || sscanf(rest, "%95s %u", slice->uuid, &slice->slices) != 2)
        return false;
    slice->parent = board;
    board->slice_count++;
    return true;
}

static bool open_clock(struct script *script, const char *path) {
    int file = open(path, O_RDWR);
    void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    if (at == MAP_FAILED)
        return false;
    script->virtual_s = at;
    return true;
}

static bool take_line(struct script *script, char *line) {
    char *rest = line + strcspn(line, " \n");
    if (*rest != '\0')
        *rest++ = '\0';
    rest[strcspn(rest, "\n")] = '\0';
    if (*line == '\0' || *line == '#')
        return true;
    if (!strcmp(line, "start")) return (script->start = strtod(rest, NULL), true);
    if (!strcmp(line, "call_us")) return (script->call_s = strtod(rest, NULL) / 1e6, true);
    if (!strcmp(line, "clock")) return open_clock(script, rest);
    if (!strcmp(line, "board"))
        return script->board_count < MAX_BOARDS && (new_board(script, rest), true);
    if (script->board_count == 0)
        return false;
    struct board *board = &script->boards[script->board_count - 1];
    if (!strcmp(line, "slice")) return add_slice(board, rest);
    if (!strcmp(line, "ramp") || !strcmp(line, "wave")) return add_piece(board, line, rest);
    return set_fact(board, line, rest) || add_event(board, line, rest);
}

bool load_script(struct script *script) {
    static char line[512], kept[512];
    const char *path = getenv("FAKE_NVML_SCRIPT");
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    bool good = file != NULL;
    if (script->virtual_s != NULL)
        munmap((void *)script->virtual_s, sizeof(double));
    script->virtual_s = NULL;
    script->board_count = 0;
    script->start = script->call_s = 0;
    while (good && fgets(line, sizeof line, file) != NULL) {
        memcpy(kept, line, sizeof kept);
        good = take_line(script, line);
        if (!good)
            fprintf(stderr, "fake NVML: %s: cannot take this line: %s", path, kept);
    }
    if (file != NULL)
        fclose(file);
    return good;
}

static double clock_s(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double script_now(const struct script *script) {
    return (script->virtual_s != NULL ? *script->virtual_s : clock_s(CLOCK_MONOTONIC)) - script->start;
}

long long stamp_us(const struct script *script, double at) {
    double offset = script->virtual_s != NULL ? 0 : clock_s(CLOCK_REALTIME) - script_now(script);
    return (long long)((at + offset) * 1e6);
}

void pass(const struct script *script, double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (script->virtual_s != NULL)
        *script->virtual_s += seconds;
    else
        nanosleep(&time, NULL);
}
