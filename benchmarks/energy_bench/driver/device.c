/* What NVML says of one board. */
#include "nvml.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static result text(const char *from, char *to, unsigned size) {
    if (strlen(from) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return OK;
}

/* Energy and power. */

result nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    ENTER(handle);
    if (!board->counts)
        return NOT_SUPPORTED;
    *millijoules = counter_mj(board, now);
    return OK;
}
result nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    ENTER(handle);
    if (board->usage == USAGE_NONE)
        return NOT_SUPPORTED;
    *milliwatts = board->usage == USAGE_AVERAGE ? average_mw(board, now) : instant_mw(board, now);
    return OK;
}

struct field {
    uint32_t id, scope;
    int64_t timestamp, latency_us;
    uint32_t type;
    result error;
    union { double real; unsigned whole; unsigned long long large; } value;
};
enum { ENERGY_FIELD = 83, AVERAGE_FIELD = 185, INSTANT_FIELD = 186, LIMIT_FIELD = 190, UNSIGNED_INT = 1, UNSIGNED_LARGE = 3 };

static result fill(const struct board *board, double now, struct field *field) {
    bool gpu = field->scope == 0 || (field->scope == 1 && board->module);
    field->timestamp = stamp_us(&the_script, renewed_at(board, now));
    field->latency_us = 0;
    field->type = UNSIGNED_INT;
    field->value.large = 0;
    if (field->id == ENERGY_FIELD && board->counts) {
        field->type = UNSIGNED_LARGE;
        field->value.large = counter_mj(board, now);
    } else if (field->id == AVERAGE_FIELD && board->tells_average && gpu)
        field->value.whole = average_mw(board, now);
    else if (field->id == INSTANT_FIELD && board->tells_instant && gpu)
        field->value.whole = instant_mw(board, now);
    else if (field->id == LIMIT_FIELD)
        field->value.whole = (unsigned)(board->limit_w * 1e3);
    else
        return NOT_SUPPORTED;
    return OK;
}
result nvmlDeviceGetFieldValues(void *handle, int count, struct field *fields) {
    ENTER(handle);
    for (int i = 0; i < count; i++)
        fields[i].error = fill(board, now, &fields[i]);
    return OK;
}

static result limit(void *handle, const char *function, unsigned *milliwatts) {
    struct board *board;
    double now;
    result entered = enter(handle, function, &board, &now);
    if (entered == OK)
        *milliwatts = (unsigned)(board->limit_w * 1e3);
    return entered;
}
result nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *to) { return limit(handle, __func__, to); }
result nvmlDeviceGetPowerManagementLimit(void *handle, unsigned *to) { return limit(handle, __func__, to); }
result nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *to) { return limit(handle, __func__, to); }
result nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned *least, unsigned *most) {
    *least = 200000;
    return limit(handle, __func__, most);
}

/* What it is. */

result nvmlDeviceGetName(void *handle, char *to, unsigned size) {
    ENTER(handle);
    return text(board->name, to, size);
}
result nvmlDeviceGetUUID(void *handle, char *to, unsigned size) {
    ENTER(handle);
    struct slice *slice = slice_of(handle);
    return text(slice == NULL ? board->uuid : slice->uuid, to, size);
}
result nvmlDeviceGetIndex(void *handle, unsigned *index) {
    ENTER(handle);
    return (*index = board->index, OK);
}
result nvmlDeviceGetArchitecture(void *handle, unsigned *to) {
    ENTER(handle);
    return (*to = board->architecture, OK);
}
result nvmlDeviceGetComputeMode(void *handle, unsigned *to) {
    ENTER(handle);
    return (*to = 0, OK);
}
result nvmlDeviceGetPersistenceMode(void *handle, unsigned *to) {
    ENTER(handle);
    return (*to = 1, OK);
}
result nvmlDeviceGetC2cModeInfoV(void *handle, unsigned *enabled) {
    ENTER(handle);
    if (!board->module)
        return NOT_SUPPORTED;
    return (*enabled = 1, OK);
}

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
};
result nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) {
    ENTER(handle);
    memset(pci, 0, sizeof *pci);
    pci->bus = board->index + 1;
    snprintf(pci->legacy, sizeof pci->legacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->address, sizeof pci->address, "00000000:%02X:00.0", pci->bus);
    return OK;
}

/* MIG slices. */

result nvmlDeviceGetMigMode(void *handle, unsigned *now_on, unsigned *later_on) {
    ENTER(handle);
    if (board->architecture < 7)
        return NOT_SUPPORTED;
    *now_on = *later_on = board->slice_count > 0;
    return OK;
}
result nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *to) {
    ENTER(handle);
    return (*to = board->slice_count > 0 ? 7 : 0, OK);
}
result nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **slice) {
    ENTER(handle);
    if (index >= board->slice_count)
        return NOT_FOUND;
    return (*slice = &board->slices[index], OK);
}
result nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **to) {
    ENTER(handle);
    if (slice_of(handle) == NULL)
        return INVALID_ARGUMENT;
    return (*to = board, OK);
}
result nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *to) {
    ENTER(handle);
    return (*to = slice_of(handle) != NULL, OK);
}
result nvmlDeviceGetGpuInstanceId(void *handle, unsigned *to) {
    ENTER(handle);
    struct slice *slice = slice_of(handle);
    if (slice == NULL)
        return NOT_SUPPORTED;
    return (*to = (unsigned)(slice - board->slices) + 1, OK);
}
result nvmlDeviceGetComputeInstanceId(void *handle, unsigned *to) {
    ENTER(handle);
    return slice_of(handle) == NULL ? NOT_SUPPORTED : (*to = 0, OK);
}

struct attributes {
    unsigned processors, copy, decoders, encoders, jpeg, flow, slices, compute_slices;
    unsigned long long memory_mb;
};
result nvmlDeviceGetAttributes_v2(void *handle, struct attributes *to) {
    ENTER(handle);
    struct slice *slice = slice_of(handle);
    if (slice == NULL)
        return NOT_SUPPORTED;
    memset(to, 0, sizeof *to);
    to->slices = to->compute_slices = slice->slices;
    to->processors = slice->slices * 16;
    to->memory_mb = (board->memory >> 20) * slice->slices / 8;
    return OK;
}

/* How busy it is; all of it follows from its power. */

static double share(const struct board *board, double now) {
    double part = power_w(board, now) / board->limit_w;
    return part < 0 ? 0 : part > 1 ? 1 : part;
}
struct utilization { unsigned gpu, memory; };
result nvmlDeviceGetUtilizationRates(void *handle, struct utilization *to) {
    ENTER(handle);
    to->gpu = (unsigned)lround(share(board, now) * 100);
    to->memory = to->gpu / 2;
    return OK;
}
struct memory { unsigned long long total, free, used; };
result nvmlDeviceGetMemoryInfo(void *handle, struct memory *to) {
    ENTER(handle);
    *to = (struct memory){board->memory, board->memory / 2, board->memory / 2};
    return OK;
}
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };
result nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *to) {
    ENTER(handle);
    *to = (struct memory_v2){to->version, board->memory, 0, board->memory / 2, board->memory / 2};
    return OK;
}
static int celsius(const struct board *board, double now) { return (int)lround(30 + 45 * share(board, now)); }
result nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *to) {
    ENTER(handle);
    (void)sensor;
    return (*to = (unsigned)celsius(board, now), OK);
}
struct temperature { unsigned version, sensor; int celsius; };
result nvmlDeviceGetTemperatureV(void *handle, struct temperature *to) {
    ENTER(handle);
    return (to->celsius = celsius(board, now), OK);
}
static unsigned megahertz(const struct board *board, double now, unsigned type) {
    return type == 2 ? 2619 : (unsigned)lround(345 + 1635 * share(board, now));
}
result nvmlDeviceGetClockInfo(void *handle, unsigned type, unsigned *to) {
    ENTER(handle);
    return (*to = megahertz(board, now, type), OK);
}
result nvmlDeviceGetMaxClockInfo(void *handle, unsigned type, unsigned *to) {
    ENTER(handle);
    return (*to = type == 2 ? 2619 : 1980, OK);
}
result nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) {
    ENTER(handle);
    const struct event *throttle = event_now(board, THROTTLE, now);
    return (*bits = throttle == NULL ? 0 : (unsigned long long)throttle->whole, OK);
}
result nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *bits) {
    return nvmlDeviceGetCurrentClocksEventReasons(handle, bits);
}
result nvmlDeviceGetTotalEccErrors(void *handle, unsigned type, unsigned since, unsigned long long *count) {
    ENTER(handle);
    const struct event *errors = event_now(board, ECC, now);
    (void)since;
    /* an event's second value is the type: 0 corrected, 1 not */
    *count = errors == NULL || (unsigned)errors->second != type ? 0 : (unsigned long long)errors->whole;
    return OK;
}

/* Who is on it. */

struct process { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; };
static result processes(void *handle, const char *function, unsigned *count, struct process *to) {
    struct board *board;
    double now;
    result entered = enter(handle, function, &board, &now);
    unsigned found = 0, room = *count;
    if (entered != OK)
        return entered;
    for (unsigned i = 0; i < board->event_count; i++) {
        const struct event *event = &board->events[i];
        if (event->kind != PROCESS || now < event->start || event->end <= now)
            continue;
        if (to != NULL && found < room)
            to[found] = (struct process){(unsigned)event->whole, (unsigned long long)event->value, ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}
result nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *to) {
    return processes(handle, __func__, count, to);
}
result nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, struct process *to) {
    return processes(handle, __func__, count, to);
}
result nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, struct process *to) {
    ENTER(handle);
    (void)to;
    return (*count = 0, OK);
}
result nvmlDeviceGetGraphicsRunningProcesses_v2(void *handle, unsigned *count, struct process *to) {
    return nvmlDeviceGetGraphicsRunningProcesses_v3(handle, count, to);
}

struct process_sample { unsigned pid; unsigned long long time_us; unsigned sm, memory, encoder, decoder; };
result nvmlDeviceGetProcessUtilization(void *handle, struct process_sample *to, unsigned *count, unsigned long long since_us) {
    ENTER(handle);
    unsigned long long now_us = (unsigned long long)stamp_us(&the_script, renewed_at(board, now));
    unsigned found = 0, room = *count;
    for (unsigned i = 0; i < board->event_count && now_us > since_us; i++) {
        const struct event *event = &board->events[i];
        if (event->kind != PROCESS || now < event->start || event->end <= now)
            continue;
        if (to != NULL && found < room)
            to[found] = (struct process_sample){(unsigned)event->whole, now_us, (unsigned)event->second, 0, 0, 0};
        found++;
    }
    *count = found;
    return found == 0 ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : OK;
}
