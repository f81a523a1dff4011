/* A disk that answers EIO: preloaded into a worker, it makes what writes below MAESTRALE_FAULTS_DISK
   fail for as long as the file MAESTRALE_FAULTS_BROKEN is there. Spools, the embedded database and
   logs write through it, as the C library is what they all call; what is mapped into memory and what
   is read is as before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_broken(int fd)
{
    const char *below = getenv("MAESTRALE_FAULTS_DISK"), *flag = getenv("MAESTRALE_FAULTS_BROKEN");
    char entry[40], path[PATH_MAX];
    int before = errno, is_there;
    ssize_t length;
    if (!below || !flag)
        return 0;
    is_there = access(flag, F_OK) == 0;
    errno = before;
    if (!is_there)
        return 0;
    snprintf(entry, sizeof entry, "/proc/self/fd/%d", fd);
    length = readlink(entry, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)))
        return 0;
    errno = EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
    return is_broken(fd) ? -1 : NEXT(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return is_broken(fd) ? -1 : NEXT(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return is_broken(fd) ? -1 : NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return is_broken(fd) ? -1 : NEXT(pwrite64)(fd, data, size, at);
}

int fsync(int fd)
{
    return is_broken(fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return is_broken(fd) ? -1 : NEXT(fdatasync)(fd);
}
