// A PJRT plugin in C for the tests of compiling threads: a stand-in made of JavaScript callbacks can be called by one thread only.
// Its programs are texts: `results=2 sleep=100` has two results and takes 100 ms to compile; a text without `results=` fails.
// Structs are read by offset: after struct_size and extension_start (16 bytes) come the fields, 8 bytes each.
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELD(args, index, type) (*(type *)((char *)(args) + 16 + 8 * (index)))
typedef void *(*Function)(void *);

static char *const message = "no results";
static atomic_int live, compiling, most;
static uint64_t device = 1;
static uint64_t devices[1] = {(uint64_t)&device};

static void *ok(void *args) { return 0; }
static void *error_message(void *args) {
  FIELD(args, 1, char *) = message;
  FIELD(args, 2, uint64_t) = strlen(message);
  return 0;
}
static void *error_code(void *args) {
  FIELD(args, 1, int) = 3;
  return 0;
}
static void *client_create(void *args) {
  FIELD(args, 6, uint64_t) = 7;
  return 0;
}
static void *client_name(void *args) {
  FIELD(args, 1, const char *) = "slow";
  FIELD(args, 2, uint64_t) = 4;
  return 0;
}
static void *client_devices(void *args) {
  FIELD(args, 1, uint64_t *) = devices;
  FIELD(args, 2, uint64_t) = 1;
  return 0;
}
static char *copy_text(const char *text, uint64_t size) {
  char *copy = malloc(size + 1);
  memcpy(copy, text, size);
  copy[size] = 0;
  atomic_fetch_add(&live, 1);
  return copy;
}
static void *client_compile(void *args) {
  void *program = FIELD(args, 1, void *);
  char *text = copy_text(FIELD(program, 0, const char *), FIELD(program, 1, uint64_t));
  int now = atomic_fetch_add(&compiling, 1) + 1, before = atomic_load(&most);
  while (before < now && !atomic_compare_exchange_weak(&most, &before, now)) {
  }
  char *sleep = strstr(text, "sleep=");
  if (sleep) usleep(1000 * atoi(sleep + 6));
  atomic_fetch_sub(&compiling, 1);
  if (!strstr(text, "results=")) {
    free(text);
    atomic_fetch_sub(&live, 1);
    return message;
  }
  FIELD(args, 4, char *) = text;
  return 0;
}
static void *description_kind(void *args) {
  FIELD(args, 1, const char *) = "slow device";
  FIELD(args, 2, uint64_t) = 11;
  return 0;
}
static void *same_handle(void *args) {
  FIELD(args, 1, uint64_t) = FIELD(args, 0, uint64_t);
  return 0;
}
static void *num_outputs(void *args) {
  FIELD(args, 1, uint64_t) = atoi(strstr(FIELD(args, 0, char *), "results=") + 8);
  return 0;
}
static void *serialize(void *args) {
  FIELD(args, 1, char *) = FIELD(args, 0, char *);
  FIELD(args, 2, uint64_t) = strlen(FIELD(args, 0, char *));
  return 0;
}
static void *deserialize(void *args) {
  FIELD(args, 3, char *) = copy_text(FIELD(args, 1, const char *), FIELD(args, 2, uint64_t));
  return 0;
}
static void *loaded_destroy(void *args) {
  free(FIELD(args, 0, char *));
  atomic_fetch_sub(&live, 1);
  return 0;
}

static struct {
  uint64_t struct_size, extension_start, version_size, version_extension;
  int major, minor;
  Function functions[100];
} api = {.struct_size = 840, .minor = 115};

void *GetPjrtApi(void) {
  Function *f = api.functions;
  f[0] = f[3] = f[11] = f[40] = ok; // Error_Destroy, Plugin_Initialize, Client_Destroy, Executable_Destroy
  f[4] = ok;                        // Plugin_Attributes: none
  f[1] = error_message;
  f[2] = error_code;
  f[10] = client_create;
  f[12] = f[14] = client_name; // and its version
  f[15] = f[16] = client_devices;
  f[20] = client_compile;
  f[23] = ok;          // DeviceDescription_Id: 0
  f[26] = description_kind;
  f[29] = same_handle; // Device_GetDescription
  f[44] = num_outputs;
  f[49] = serialize;
  f[50] = loaded_destroy;
  f[51] = same_handle; // LoadedExecutable_GetExecutable
  f[56] = deserialize;
  return &api;
}

int live_programs(void) { return live; }
int most_compiling(void) { return most; }
