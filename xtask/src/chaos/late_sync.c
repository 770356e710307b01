/* Preloaded into a member: a sync ends late, and what it syncs is no sooner on the disk, while the file that LATE_SYNC
 * names holds a number of milliseconds. For each that came late a byte is added to that file's neighbour, `.done`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void late(void) {
    char path[4096], text[16] = {0};
    const char *control = getenv("LATE_SYNC");
    if (control == NULL)
        return;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    long ms = got > 0 ? atol(text) : 0;
    if (ms <= 0)
        return;
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
    snprintf(path, sizeof path, "%s.done", control);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) {
        if (write(file, ".", 1) < 0)
            perror(path);
        close(file);
    }
}

int fsync(int file) {
    late();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    late();
    return (int)syscall(SYS_fdatasync, file);
}
