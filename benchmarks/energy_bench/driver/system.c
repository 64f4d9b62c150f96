/* NVML itself: begin and end, boards and slices by number, UUID and bus, errors in words, events. */
#include "nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct script the_script;
static unsigned users;
static double begun_at;
static char loaded[512];

static struct timespec real_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

static void keep_busy(double seconds) {
    struct timespec from = real_time(), now = from;
    while ((double)(now.tv_sec - from.tv_sec) + (double)(now.tv_nsec - from.tv_nsec) * 1e-9 < seconds)
        now = real_time();
}

struct slice *slice_of(void *handle) {
    for (unsigned i = 0; i < the_script.board_count; i++)
        for (unsigned j = 0; j < the_script.boards[i].slice_count; j++)
            if (handle == &the_script.boards[i].slices[j])
                return handle;
    return NULL;
}

struct board *board_of(void *handle) {
    struct slice *slice = slice_of(handle);
    for (unsigned i = 0; i < the_script.board_count; i++)
        if (handle == &the_script.boards[i])
            return handle;
    return slice == NULL ? NULL : slice->parent;
}

static result failure(const struct board *board, double now) {
    const struct event *outage = event_now(board, OUTAGE, now), *reset = event_now(board, RESET, now);
    if (outage != NULL)
        return outage->whole != 0 ? (result)outage->whole : UNKNOWN;
    return reset != NULL ? GPU_IS_LOST : OK;
}

/* While the driver is reloaded there is none, and after it what was opened before is closed. */
static result reloading(double now, bool beginning) {
    for (unsigned i = 0; i < the_script.board_count; i++)
        for (unsigned j = 0; j < the_script.boards[i].event_count; j++) {
            const struct event *event = &the_script.boards[i].events[j];
            if (event->kind != RESET || event->second == 0 || now < event->start)
                continue;
            if (now < event->end)
                return DRIVER_NOT_LOADED;
            if (!beginning && begun_at < event->end)
                return UNINITIALIZED;
        }
    return OK;
}
static result opened(void) {
    return users == 0 ? UNINITIALIZED : reloading(script_now(&the_script), false);
}

static void take_time(const struct board *board, const char *function) {
    keep_busy(the_script.call_s);
    double now = script_now(&the_script);
    for (unsigned i = 0; board != NULL && i < board->event_count; i++) {
        const struct event *event = &board->events[i];
        if (event->kind != SLOW || now < event->start || event->end <= now)
            continue;
        if (!strcmp(event->function, "all") || !strcmp(event->function, function))
            pass(&the_script, event->value);
    }
}

result enter(void *handle, const char *function, struct board **board, double *now) {
    if (users == 0)
        return UNINITIALIZED;
    *board = board_of(handle);
    if (*board == NULL)
        return INVALID_ARGUMENT;
    take_time(*board, function);
    *now = script_now(&the_script);
    result gone = reloading(*now, false);
    return gone != OK ? gone : failure(*board, *now);
}

/* A script is read once: other threads of the process may be at it when it begins anew. */
result nvmlInitWithFlags(unsigned flags) {
    const char *path = getenv("FAKE_NVML_SCRIPT");
    (void)flags;
    if (path == NULL)
        return DRIVER_NOT_LOADED;
    if (strcmp(path, loaded) != 0) {
        if (!load_script(&the_script))
            return DRIVER_NOT_LOADED;
        snprintf(loaded, sizeof loaded, "%s", path);
    }
    if (reloading(script_now(&the_script), true) != OK)
        return DRIVER_NOT_LOADED;
    users++;
    begun_at = script_now(&the_script);
    return OK;
}
result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
result nvmlInit(void) { return nvmlInitWithFlags(0); }

result nvmlShutdown(void) {
    if (users == 0)
        return UNINITIALIZED;
    users--;
    return OK;
}

const char *nvmlErrorString(result error) {
    switch (error) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case TIMEOUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

static result text(const char *from, char *to, unsigned size) {
    if (strlen(from) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return OK;
}
result nvmlSystemGetDriverVersion(char *to, unsigned size) { return text("580.95.05", to, size); }
result nvmlSystemGetNVMLVersion(char *to, unsigned size) { return text("13.580.95.05", to, size); }
result nvmlSystemGetCudaDriverVersion_v2(int *to) { return (*to = 13000, OK); }
result nvmlSystemGetCudaDriverVersion(int *to) { return (*to = 13000, OK); }

result nvmlDeviceGetCount_v2(unsigned *count) {
    *count = the_script.board_count;
    return opened();
}
result nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if (opened() != OK)
        return opened();
    if (index >= the_script.board_count)
        return INVALID_ARGUMENT;
    *handle = &the_script.boards[index];
    return OK;
}
result nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    if (opened() != OK)
        return opened();
    for (unsigned i = 0; i < the_script.board_count; i++) {
        struct board *board = &the_script.boards[i];
        if (!strcmp(board->uuid, uuid))
            return (*handle = board, OK);
        for (unsigned j = 0; j < board->slice_count; j++)
            if (!strcmp(board->slices[j].uuid, uuid))
                return (*handle = &board->slices[j], OK);
    }
    return NOT_FOUND;
}
result nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **handle) {
    unsigned domain, number;
    if (sscanf(bus, "%x:%x:", &domain, &number) != 2 || number == 0 || number > the_script.board_count)
        return NOT_FOUND;
    *handle = &the_script.boards[number - 1]; /* board 0 is on bus 1 */
    return OK;
}

struct event_set {
    bool registered[MAX_BOARDS];
    double told_until;
};
struct event_data {
    void *device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};
enum { XID_EVENT = 8 };

result nvmlEventSetCreate(struct event_set **set) {
    *set = calloc(1, sizeof **set);
    (*set)->told_until = script_now(&the_script);
    return users == 0 ? UNINITIALIZED : OK;
}
result nvmlDeviceGetSupportedEventTypes(void *handle, unsigned long long *types) {
    ENTER(handle);
    *types = 0x1ff;
    return OK;
}
result nvmlDeviceRegisterEvents(void *handle, unsigned long long types, struct event_set *set) {
    ENTER(handle);
    if (types & XID_EVENT)
        set->registered[board->index] = true;
    return OK;
}

/* The first event after the one told last, of any board; one a call, in the order of time. */
static bool next_event(struct event_set *set, double now, struct event_data *data) {
    const struct event *first = NULL;
    for (unsigned i = 0; i < the_script.board_count; i++)
        for (unsigned j = 0; set->registered[i] && j < the_script.boards[i].event_count; j++) {
            const struct event *event = &the_script.boards[i].events[j];
            if (event->kind != XID || event->start <= set->told_until || event->start > now)
                continue;
            if (first != NULL && first->start <= event->start)
                continue;
            first = event;
            *data = (struct event_data){&the_script.boards[i], XID_EVENT, (unsigned long long)event->whole, ~0u, ~0u};
        }
    if (first != NULL)
        set->told_until = first->start;
    return first != NULL;
}
result nvmlEventSetWait_v2(struct event_set *set, struct event_data *data, unsigned timeout_ms) {
    struct timespec nap = {0, 2000000};
    for (double waited_ms = 0;; waited_ms += 2) {
        if (next_event(set, script_now(&the_script), data))
            return OK;
        if (waited_ms >= timeout_ms)
            return TIMEOUT;
        nanosleep(&nap, NULL);
    }
}
result nvmlEventSetFree(struct event_set *set) { return (free(set), OK); }
