// Loaded before the C library, it makes one of a program's calls of the file system fail, fall short or be its last.
//
// FAULT_BELOW  directory: only calls on what is below it count
// FAULT_LOG    file that gets the name and path of every call, a line each
// FAULT_AT     number of the call, from 0 on
// FAULT_KIND   an errno; SHORT: half of the bytes; KILL: the process ends; FULL: from then on there is no room for anything new
// FAULT_NO_EXCHANGE  set: the kernel cannot exchange two directories
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long at = -1;
static int error, is_short, is_kill, is_full, log_fd = -1;
static const char *below;

static void refuse_exchange(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *text;
    if ((text = getenv("FAULT_AT"))) at = atol(text);
    if ((text = getenv("FAULT_KIND"))) {
        is_short = !strcmp(text, "SHORT");
        is_kill = !strcmp(text, "KILL");
        is_full = !strcmp(text, "FULL");
        error = is_full ? ENOSPC : atoi(text);
    }
    if ((text = getenv("FAULT_LOG"))) log_fd = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (getenv("FAULT_NO_EXCHANGE")) refuse_exchange();
    below = getenv("FAULT_BELOW");
}

enum { DONE, FAILED, HALF };

// What becomes of a call on a path; `grows`: it needs room.
static int fault(const char *name, const char *path, int grows) {
    if (!below || (path[0] == '/' && strncmp(path, below, strlen(below)))) return DONE;
    long call = atomic_fetch_add(&calls, 1);
    if (log_fd >= 0) {
        char line[5000];
        int length = snprintf(line, sizeof line, "%s %s\n", name, path);
        syscall(SYS_write, log_fd, line, length);
    }
    if (is_full ? at < 0 || call < at || !grows : call != at) return DONE;
    if (is_kill) kill(getpid(), SIGKILL);
    errno = error;
    return is_short ? HALF : FAILED;
}

static int fault_of(const char *name, int fd, int grows) {
    char link[40], path[4097];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlink, link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return DONE;
    path[length] = 0;
    return fault(name, path, grows);
}

// Of a path below an open directory, which counts as the directory.
static int fault_in(const char *name, int fd, const char *path, int grows) {
    return fd == AT_FDCWD || path[0] == '/' ? fault(name, path, grows) : fault_of(name, fd, grows);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define ON_PATH(name, grows, path, type, failure, parameters, arguments) \
    type name parameters { REAL(name); return fault(#name, path, grows) == FAILED ? failure : real arguments; }
#define ON_FILE(name, grows, type, parameters, arguments) \
    type name parameters { REAL(name); return fault_of(#name, fd, grows) == FAILED ? -1 : real arguments; }
#define IN_DIRECTORY(name, grows, parameters, arguments) \
    int name parameters { REAL(name); return fault_in(#name, fd, path, grows) == FAILED ? -1 : real arguments; }
#define BYTES(name, grows, parameters, arguments) \
    ssize_t name parameters { \
        REAL(name); \
        switch (fault_of(#name, fd, grows)) { \
        case FAILED: return -1; \
        case HALF: length = length > 1 ? length / 2 : length; \
        } \
        return real arguments; \
    }
#define MODE va_list rest; va_start(rest, flags); mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; va_end(rest)
#define NAMED(name) flags & O_CREAT ? #name "-create" : #name, path, !!(flags & O_CREAT)

int open64(const char *path, int flags, ...) { REAL(open64); MODE; return fault(NAMED(open64)) == FAILED ? -1 : real(path, flags, mode); }
int open(const char *path, int flags, ...) { REAL(open); MODE; return fault(NAMED(open)) == FAILED ? -1 : real(path, flags, mode); }
int openat64(int fd, const char *path, int flags, ...) {
    REAL(openat64); MODE;
    return fault_in("openat64", fd, path, flags & O_CREAT) == FAILED ? -1 : real(fd, path, flags, mode);
}
BYTES(read, 0, (int fd, void *to, size_t length), (fd, to, length))
BYTES(pread64, 0, (int fd, void *to, size_t length, off64_t place), (fd, to, length, place))
BYTES(write, 1, (int fd, const void *from, size_t length), (fd, from, length))
BYTES(pwrite64, 1, (int fd, const void *from, size_t length, off64_t place), (fd, from, length, place))
ON_FILE(readv, 0, ssize_t, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FILE(writev, 1, ssize_t, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FILE(fsync, 0, int, (int fd), (fd))
ON_FILE(fdatasync, 0, int, (int fd), (fd))
ON_FILE(ftruncate64, 0, int, (int fd, off64_t length), (fd, length))
ON_FILE(flock, 0, int, (int fd, int operation), (fd, operation))
ON_FILE(fstat64, 0, int, (int fd, struct stat64 *to), (fd, to))
ON_FILE(copy_file_range, 1, ssize_t, (int fd, off64_t *from, int out, off64_t *to, size_t length, unsigned flags), (fd, from, out, to, length, flags))
ON_FILE(sendfile64, 1, ssize_t, (int out, int fd, off64_t *from, size_t length), (out, fd, from, length))
ON_PATH(rename, 0, path, int, -1, (const char *path, const char *to), (path, to))
ON_PATH(unlink, 0, path, int, -1, (const char *path), (path))
ON_PATH(rmdir, 0, path, int, -1, (const char *path), (path))
ON_PATH(mkdir, 1, path, int, -1, (const char *path, mode_t mode), (path, mode))
ON_PATH(stat64, 0, path, int, -1, (const char *path, struct stat64 *to), (path, to))
ON_PATH(lstat64, 0, path, int, -1, (const char *path, struct stat64 *to), (path, to))
ON_PATH(opendir, 0, path, DIR *, NULL, (const char *path), (path))
ON_PATH(realpath, 0, path, char *, NULL, (const char *path, char *to), (path, to))
IN_DIRECTORY(unlinkat, 0, (int fd, const char *path, int flags), (fd, path, flags))
IN_DIRECTORY(linkat, 1, (int fd, const char *path, int in, const char *to, int flags), (fd, path, in, to, flags))
IN_DIRECTORY(fstatat64, 0, (int fd, const char *path, struct stat64 *to, int flags), (fd, path, to, flags))
int statx(int fd, const char *path, int flags, unsigned mask, struct statx *to) {
    REAL(statx);
    // Rust's library asks with null whether the kernel has the call.
    const char *volatile given = path;
    if (!given) return real(fd, path, flags, mask, to);
    int outcome = *path ? fault_in("statx", fd, path, 0) : fault_of("statx", fd, 0);
    return outcome == FAILED ? -1 : real(fd, path, flags, mask, to);
}
struct dirent64 *readdir64(DIR *directory) {
    REAL(readdir64);
    return fault_of("readdir64", dirfd(directory), 0) == FAILED ? NULL : real(directory);
}
