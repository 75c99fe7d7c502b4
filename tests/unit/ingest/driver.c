/* Stands in for libnvidia-ml.so.1: four GPUs as a driver would tell of them, with what goes wrong set from outside.
   GPU 0 answers everything; GPU 1 has no power reading; GPU 2 is cut into MIG instances; GPU 3 fails once it was asked often enough. */
#include <stdio.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, FUNCTION_NOT_FOUND = 13 };
enum { GPUS = 4, MIG_GPU = 2, FRAIL_GPU = 3, PLACES = 7 };

typedef struct { int index, place; } *device;  /* place: of an instance, -1 of a whole GPU */
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned multiprocessors, copies, decoders, encoders, jpegs, ofas, slices, compute_slices; unsigned long long megabytes; } attributes;

static struct { int index, place; } table[GPUS][PLACES + 1];
static int init_code, count_code, gpus, failing_code, asked, failing_after, is_old;

void driver_set(int gpus_, int init_code_, int count_code_, int failing_code_, int failing_after_, int is_old_) {
    gpus = gpus_, init_code = init_code_, count_code = count_code_;
    failing_code = failing_code_, failing_after = failing_after_, is_old = is_old_, asked = 0;
}

static int trouble(device d) { return d->index == FRAIL_GPU && failing_code && asked > failing_after ? failing_code : SUCCESS; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; return init_code; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == 999 ? "Unknown Error" : "Some Error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)gpus; return count_code; }

static device at(int index, int place) {
    table[index][place + 1].index = index, table[index][place + 1].place = place;
    return (device)&table[index][place + 1];
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *found) {
    if (index >= (unsigned)gpus) return INVALID_ARGUMENT;
    *found = at((int)index, -1);
    if (index == FRAIL_GPU) asked++;
    return trouble(*found);
}

int nvmlDeviceGetUUID(device d, char *uuid, unsigned size) {
    snprintf(uuid, size, d->place < 0 ? "GPU-%d" : "MIG-%d", d->index);
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(device d, utilization *rates) {
    if (d->index == MIG_GPU) return NOT_SUPPORTED;
    rates->gpu = d->index ? 0 : 97, rates->memory = 55;
    return SUCCESS;
}

static unsigned long long used(device d) { return d->place < 0 ? 76766543872ULL : 1048576ULL * (unsigned)(d->place + 1); }

int nvmlDeviceGetMemoryInfo(device d, memory_v1 *info) { info->used = used(d) + 500; return SUCCESS; }

int nvmlDeviceGetMemoryInfo_v2(device d, memory_v2 *info) {
    if (is_old) return FUNCTION_NOT_FOUND;
    if (info->version != 0x02000028) return INVALID_ARGUMENT;
    info->used = d->index == 1 ? ~0ULL : used(d), info->reserved = 500;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(device d, unsigned *milliwatts) {
    if (d->index == 1) return NOT_SUPPORTED;
    *milliwatts = 612400;
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(device d, unsigned long long *millijoules) {
    if (is_old) return NOT_SUPPORTED;
    *millijoules = 5187300000001ULL + (unsigned)d->index;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(device d, unsigned *current, unsigned *pending) {
    if (is_old) return FUNCTION_NOT_FOUND;
    if (d->index == 1) return NOT_SUPPORTED;
    *current = *pending = d->index == MIG_GPU;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(device d, unsigned *count) { (void)d; *count = PLACES; return SUCCESS; }

/* Places 0 and 3 are compute instances of one GPU instance; 5 is another; the rest are empty. */
int nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned place, device *found) {
    if (place != 0 && place != 3 && place != 5) return NOT_FOUND;
    *found = at(d->index, (int)place);
    return SUCCESS;
}

int nvmlDeviceGetGpuInstanceId(device d, unsigned *id) { *id = d->place == 5 ? 2 : 1; return SUCCESS; }

int nvmlDeviceGetName(device d, char *name, unsigned size) {
    snprintf(name, size, d->place < 0 ? "NVIDIA H100 80GB HBM3" : d->place == 5 ? "a name of its own" : "NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb");
    return SUCCESS;
}

int nvmlDeviceGetAttributes_v2(device d, attributes *told) { memset(told, 0, sizeof *told); told->slices = d->place == 5 ? 2 : 3; return SUCCESS; }
