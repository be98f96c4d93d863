/* An NVML of long ago: it starts, lists one GPU, and has none of the calls that tell
   of energy. With -DPOWER it has the oldest of them. */
#include <string.h>

typedef int ret;
typedef unsigned int uint;

ret nvmlInit_v2(void) { return 0; }
ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret r) { return r ? "Not Supported" : "Success"; }
ret nvmlSystemGetDriverVersion(char *text, uint n) { strncpy(text, "340.1", n); return 0; }
ret nvmlDeviceGetCount_v2(uint *n) { *n = 1; return 0; }
ret nvmlDeviceGetHandleByIndex_v2(uint i, void **device) { *device = (void *)1; return i; }
ret nvmlDeviceGetUUID(void *device, char *text, uint n) { strncpy(text, "GPU-1", n); return 0; }
ret nvmlDeviceGetName(void *device, char *text, uint n) { strncpy(text, "Tesla K80", n); return 0; }
#ifdef POWER
ret nvmlDeviceGetPowerUsage(void *device, uint *milliwatts) { *milliwatts = 123456; return 0; }
#endif
