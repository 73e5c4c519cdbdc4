// Makes one system call on the files of a folder fail, or kills the process before it. Preloaded by the faults part of the campaign.
//
// TB_FAULT_FOLDER   calls on paths below it count, and calls on descriptors of such files
// TB_FAULT_CALL     open, write, fsync, rename, or close of a file that was opened for writing
// TB_FAULT_NUMBER   which of those calls fails, from 1; 0 lets all succeed
// TB_FAULT_ERROR    the errno; 0 kills the process by SIGKILL instead
// TB_FAULT_COUNT    file that gets the number of calls of each name when the process ends
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 65536 };

static const char *folder, *call, *count_file;
static long number;
static int error;
static const char *const names[] = {"open", "write", "fsync", "rename", "close"};
enum { NAMES = sizeof names / sizeof names[0] };
static atomic_long calls[NAMES];
/** Of each descriptor of a file in the folder: 1 for reading, 2 for writing. */
static atomic_char watched[MOST_DESCRIPTORS];

/** The C library's function of a name. */
#define LIBRARY(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long number_of(const char *name) {
  const char *value = getenv(name);
  return value ? atol(value) : 0;
}

__attribute__((constructor)) static void begin(void) {
  folder = getenv("TB_FAULT_FOLDER");
  call = getenv("TB_FAULT_CALL");
  count_file = getenv("TB_FAULT_COUNT");
  number = number_of("TB_FAULT_NUMBER");
  error = (int)number_of("TB_FAULT_ERROR");
}

__attribute__((destructor)) static void end(void) {
  if (!count_file) return;
  char text[256];
  int length = 0;
  for (int i = 0; i < NAMES; i++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s %ld\n", names[i], atomic_load(&calls[i]));
  int file = LIBRARY(open)(count_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && LIBRARY(write)(file, text, (size_t)length) == length) LIBRARY(close)(file);
}

static int is_inside(const char *path) {
  if (!folder || !path) return 0;
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_watched(int file) { return file >= 0 && file < MOST_DESCRIPTORS && atomic_load(&watched[file]); }

static int is_written(int file) { return is_watched(file) && atomic_load(&watched[file]) == 2; }

static int watch(int file, int purpose) {
  if (file >= 0 && file < MOST_DESCRIPTORS) atomic_store(&watched[file], (char)purpose);
  return file;
}

/** Counts a call on a file of the folder. Returns whether it is the one that fails, with errno set. */
static int fails(const char *name) {
  int index = 0;
  while (strcmp(name, names[index]) != 0) index++;
  long count = atomic_fetch_add(&calls[index], 1) + 1;
  if (!call || strcmp(name, call) != 0 || count != number) return 0;
  if (error == 0) kill(getpid(), SIGKILL);
  errno = error;
  return 1;
}

#define WRAP_OPEN(name)                                                      \
  int name(const char *path, int flags, ...) {                               \
    va_list list;                                                            \
    va_start(list, flags);                                                   \
    mode_t mode = (flags & O_CREAT) ? va_arg(list, mode_t) : 0;              \
    va_end(list);                                                            \
    int inside = is_inside(path);                                            \
    int purpose = (flags & O_ACCMODE) == O_RDONLY ? 1 : 2;                   \
    if (inside && fails("open")) return -1;                                  \
    return watch(LIBRARY(name)(path, flags, mode), inside * purpose);        \
  }
WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_WRITE(name, parameters, arguments)                              \
  ssize_t name parameters {                                                  \
    if (is_watched(file) && fails("write")) return -1;                       \
    return LIBRARY(name) arguments;                                          \
  }
WRAP_WRITE(write, (int file, const void *data, size_t size), (file, data, size))
WRAP_WRITE(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
WRAP_WRITE(writev, (int file, const struct iovec *parts, int count), (file, parts, count))
WRAP_WRITE(pwritev64, (int file, const struct iovec *parts, int count, off64_t at), (file, parts, count, at))

#define WRAP_SYNC(name)                                                      \
  int name(int file) {                                                       \
    if (is_watched(file) && fails("fsync")) return -1;                       \
    return LIBRARY(name)(file);                                              \
  }
WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)

int rename(const char *from, const char *to) {
  if (is_inside(to) && fails("rename")) return -1;
  return LIBRARY(rename)(from, to);
}

/** Closes by `result`, an expression, and reports an error where this is the call that fails: Linux closes the file then too. */
#define WRAP_CLOSE(type, file, result)                                       \
  int is_failing = is_written(file) && fails("close");                       \
  watch(file, 0);                                                            \
  type closed = (result);                                                    \
  if (!is_failing) return closed;                                            \
  errno = error;                                                             \
  return -1;

int close(int file) { WRAP_CLOSE(int, file, LIBRARY(close)(file)) }

/** libuv closes files by this. */
long syscall(long which, ...) {
  long a[6];
  va_list list;
  va_start(list, which);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (which != SYS_close) return LIBRARY(syscall)(which, a[0], a[1], a[2], a[3], a[4], a[5]);
  WRAP_CLOSE(long, (int)a[0], LIBRARY(syscall)(which, a[0]))
}
