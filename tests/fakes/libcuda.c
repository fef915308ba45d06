/* Stands in for CUDA's driver library: each stream has a clock of its own, and work moves it on. */
#include <stdlib.h>
#include <string.h>

typedef struct { double ms; int capturing; double captured_ms; } Stream;
typedef struct { double ms; } Event;

static int fail_after = -1, calls = 0, is_full = 0;
static double kernel_ms = 0.5;

void fake_kernel_takes(double ms) { kernel_ms = ms; }
void fake_fill(int full) { is_full = full; }
void fake_fail_allocation_after(int count) { fail_after = count; calls = 0; }
int fake_kernel(Stream *stream) {
    if (stream->capturing) stream->captured_ms += kernel_ms; else stream->ms += kernel_ms;
    return stream->capturing;
}

int cuInit(unsigned flags) { return flags ? 1 : 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "NVIDIA Fake", length); return device != 7; }
int cuDevicePrimaryCtxRetain(void **context, int device) {
    if (is_full) return 2;
    *context = (void *)42;
    return device != 7;
}
int cuCtxSetCurrent(void *context) { return context != (void *)42; }
int cuStreamCreate(Stream **stream, unsigned flags) { *stream = calloc(1, sizeof(Stream)); return flags != 1; }
int cuEventCreate(Event **event, unsigned flags) { *event = calloc(1, sizeof(Event)); return flags; }
int cuMemAlloc_v2(void **address, size_t size) {
    if (fail_after >= 0 && calls++ >= fail_after) return 2;
    *address = calloc(1, size);
    return 0;
}
int cuMemAllocHost_v2(void **address, size_t size) { *address = calloc(1, size); return 0; }
int cuMemcpyHtoDAsync_v2(void *to, void *from, size_t size, Stream *stream) {
    memcpy(to, from, size); stream->ms += 0.1; return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, void *from, size_t size, Stream *stream) {
    memcpy(to, from, size); stream->ms += 0.2; return 0;
}
int cuEventRecord(Event *event, Stream *stream) { event->ms = stream->ms; return 0; }
int cuStreamWaitEvent(Stream *stream, Event *event, unsigned flags) {
    if (event->ms > stream->ms) stream->ms = event->ms;
    return flags;
}
int cuEventSynchronize(Event *event) { return event ? 0 : 1; }
int cuStreamSynchronize(Stream *stream) { return stream ? 0 : 1; }
int cuEventElapsedTime(float *ms, Event *start, Event *end) { *ms = (float)(end->ms - start->ms); return 0; }
int cuStreamBeginCapture_v2(Stream *stream, int mode) { stream->capturing = 1; return mode != 1; }
int cuStreamEndCapture(Stream *stream, double **graph) {
    stream->capturing = 0;
    *graph = malloc(sizeof(double));
    **graph = stream->captured_ms;
    return stream->captured_ms == 0 ? 900 : 0;
}
int cuGraphInstantiateWithFlags(double **ready, double *graph, unsigned long long flags) {
    *ready = graph; return (int)flags;
}
int cuGraphLaunch(double *graph, Stream *stream) { stream->ms += *graph; return 0; }
int cuGetErrorString(int status, const char **text) { *text = status == 900 ? "captured nothing" : "a fault"; return 0; }
