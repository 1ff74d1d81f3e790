/* Loaded before the C library: counts the system calls that change files in one folder, and makes one fail,
   or kills the process before it. Python, SQLite, Arrow and safetensors all come through here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, FULL, BROKEN, KILLED };

static int armed, mode, number;
static volatile int calls;
static char scope[4096];

/* Folder: absolute, without a slash at the end. Number: of the call that fails, from 1. */
void faults_arm(const char *folder, int which, int at) {
    snprintf(scope, sizeof scope, "%s", folder);
    calls = 0, mode = which, number = at, armed = 1;
}

int faults_count(void) {
    armed = 0;
    return calls;
}

static int below(const char *path) {
    size_t n = strlen(scope);
    return strncmp(path, scope, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int open_in_scope(int fd) {
    char link[64], path[4096];
    if (!armed) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

static int path_in_scope(int folder, const char *path) {
    char here[4096];
    if (!armed || !path) return 0;
    if (path[0] == '/') return below(path);
    if (folder != AT_FDCWD) return open_in_scope(folder);
    return getcwd(here, sizeof here) && below(here);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* What becomes of this call: 0, or the error with which it fails. A full disk stays full. */
static int fate(int needs_room) {
    int n = __sync_add_and_fetch(&calls, 1);
    switch (mode) {
        case KILLED: if (n == number) die(); return 0;
        case BROKEN: return n == number ? EIO : 0;
        case FULL: return n >= number && needs_room ? ENOSPC : 0;
    }
    return 0;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAIL_IF(in_scope, needs_room) \
    do { int error; if ((in_scope) && (error = fate(needs_room))) { errno = error; return -1; } } while (0)
#define CHANGES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)))

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, int); va_end(rest); \
        REAL(name);                                                                    \
        FAIL_IF(CHANGES(flags) && path_in_scope(AT_FDCWD, path), flags & O_CREAT);     \
        return real(path, flags, bits);                                                \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                   \
    int name(int folder, const char *path, int flags, ...) {                           \
        va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, int); va_end(rest); \
        REAL(name);                                                                    \
        FAIL_IF(CHANGES(flags) && path_in_scope(folder, path), flags & O_CREAT);       \
        return real(folder, path, flags, bits);                                        \
    }
OPENAT(openat)
OPENAT(openat64)

#define ONE_PATH(name, needs_room, types, values)                                      \
    int name types { REAL(name); FAIL_IF(path_in_scope(AT_FDCWD, path), needs_room); return real values; }
#define PATH_AT(name, needs_room, types, values)                                       \
    int name types { REAL(name); FAIL_IF(path_in_scope(folder, path), needs_room); return real values; }
ONE_PATH(mkdir, 1, (const char *path, mode_t bits), (path, bits))
ONE_PATH(rmdir, 0, (const char *path), (path))
ONE_PATH(unlink, 0, (const char *path), (path))
ONE_PATH(rename, 0, (const char *from, const char *path), (from, path))
ONE_PATH(link, 1, (const char *from, const char *path), (from, path))
PATH_AT(mkdirat, 1, (int folder, const char *path, mode_t bits), (folder, path, bits))
PATH_AT(unlinkat, 0, (int folder, const char *path, int flags), (folder, path, flags))
PATH_AT(renameat, 0, (int other, const char *from, int folder, const char *path), (other, from, folder, path))
PATH_AT(linkat, 1, (int other, const char *from, int folder, const char *path, int flags),
        (other, from, folder, path, flags))

#define ON_FILE(name, needs_room, types, values)                                       \
    int name types { REAL(name); FAIL_IF(open_in_scope(fd), needs_room); return real values; }
ON_FILE(fsync, 1, (int fd), (fd))
ON_FILE(fdatasync, 1, (int fd), (fd))
ON_FILE(ftruncate, 0, (int fd, off_t size), (fd, size))
ON_FILE(ftruncate64, 0, (int fd, off64_t size), (fd, size))

/* A write during which the process dies is half there. */
#define WRITE(name, types, values, part)                                               \
    ssize_t name types {                                                               \
        REAL(name);                                                                    \
        int mine = open_in_scope(fd);                                                  \
        if (mine && mode == KILLED && calls + 1 == number && real part >= 0) die();      \
        FAIL_IF(mine, 1);                                                              \
        return real values;                                                            \
    }
WRITE(write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, n / 2))
WRITE(pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, n / 2, at))
WRITE(pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), (fd, data, n / 2, at))
WRITE(writev, (int fd, const struct iovec *parts, int n), (fd, parts, n), (fd, parts, n / 2))

/* Whoever copies a file may ask for more than it has. */
static size_t half(int from, size_t n) {
    struct stat found;
    return (fstat(from, &found) == 0 && (size_t)found.st_size < n ? (size_t)found.st_size : n) / 2;
}
WRITE(sendfile, (int fd, int from, off_t *at, size_t n), (fd, from, at, n), (fd, from, at, half(from, n)))
WRITE(sendfile64, (int fd, int from, off64_t *at, size_t n), (fd, from, at, n), (fd, from, at, half(from, n)))
WRITE(copy_file_range, (int from, off64_t *start, int fd, off64_t *at, size_t n, unsigned flags),
      (from, start, fd, at, n, flags), (from, start, fd, at, half(from, n), flags))

/* Closing is where some disks say that a write has failed: the file is closed all the same. */
int close(int fd) {
    REAL(close);
    int error = 0, mine = armed && open_in_scope(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    if (mine) error = fate(1);
    int answer = real(fd);
    if (error) { errno = error; return -1; }
    return answer;
}
