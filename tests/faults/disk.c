/* What a program does to the files below one folder, recorded and made to fail.
 *
 * Preloaded before libc: RECORD_DIR names the folder, RECORD_LOG a file that receives every write,
 * truncation, removal, flush and failed flush in order. `arm` makes the nth matching operation fail, once or from
 * then on; a program calls it through ctypes, so that thousands of faults need one process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { NONE, EIO_WRITE, ENOSPC_WRITE, SHORT_WRITE, EIO_SYNC };

static ssize_t (*libc_write)(int, const void *, size_t);
static ssize_t (*libc_pwrite)(int, const void *, size_t, off64_t);
static int (*libc_fsync)(int);
static int (*libc_fdatasync)(int);
static int (*libc_ftruncate)(int, off64_t);
static int (*libc_unlink)(const char *);

static const char *folder;
static int record = -1;
static enum kind armed;
static long countdown;
static int forever;
static long hits;

__attribute__((constructor)) static void begin(void)
{
	libc_write = dlsym(RTLD_NEXT, "write");
	libc_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	libc_fsync = dlsym(RTLD_NEXT, "fsync");
	libc_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	libc_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	libc_unlink = dlsym(RTLD_NEXT, "unlink");
	folder = getenv("RECORD_DIR");
	if (getenv("RECORD_LOG"))
		record = open(getenv("RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
}

void arm(int kind, long nth, int sticky)
{
	armed = kind;
	countdown = nth;
	forever = sticky;
	hits = 0;
}

long disarm(void)
{
	armed = NONE;
	return hits;
}

/* Path of an open file if it is below the folder and no shared memory; 0 otherwise. */
static int watched(int fd, char path[512])
{
	char link[64];
	ssize_t n;

	if (!folder)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, 511);
	if (n < 0)
		return 0;
	path[n] = 0;
	return !strncmp(path, folder, strlen(folder)) && !strstr(path, "-shm");
}

static int fails(enum kind kind)
{
	if (armed != kind)
		return 0;
	countdown--;
	if (forever ? countdown > 0 : countdown != 0)
		return 0;
	hits++;
	return 1;
}

/* One record: kind, length of the path, offset, length of the data, path, data. */
static void note(char kind, const char *path, int64_t offset, const void *data, uint32_t length)
{
	uint16_t named = strlen(path);
	size_t total = 15 + named + length;
	char *bytes;

	if (record < 0)
		return;
	bytes = malloc(total);
	bytes[0] = kind;
	memcpy(bytes + 1, &named, 2);
	memcpy(bytes + 3, &offset, 8);
	memcpy(bytes + 11, &length, 4);
	memcpy(bytes + 15, path, named);
	memcpy(bytes + 15 + named, data, length);
	if (libc_write(record, bytes, total) != (ssize_t)total)
		abort();
	free(bytes);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
	char path[512];
	ssize_t done;

	if (!watched(fd, path))
		return libc_pwrite(fd, data, length, offset);
	if (fails(EIO_WRITE)) {
		errno = EIO;
		return -1;
	}
	if (fails(ENOSPC_WRITE)) {
		errno = ENOSPC;
		return -1;
	}
	if (length > 512 && fails(SHORT_WRITE)) {
		done = libc_pwrite(fd, data, length / 2, offset);
		(void)done;
		errno = EIO;
		return -1;
	}
	done = libc_pwrite(fd, data, length, offset);
	if (done > 0)
		note('w', path, offset, data, done);
	return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
	return pwrite64(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length)
{
	char path[512];
	off64_t offset;
	ssize_t done;

	if (!watched(fd, path))
		return libc_write(fd, data, length);
	offset = lseek64(fd, 0, SEEK_CUR);
	done = libc_write(fd, data, length);
	if (done > 0)
		note('w', path, offset, data, done);
	return done;
}

static int flush(int fd, int (*libc_flush)(int))
{
	char path[512];
	int done;

	if (!watched(fd, path))
		return libc_flush(fd);
	if (fails(EIO_SYNC)) {
		note('f', path, 0, "", 0);
		errno = EIO;
		return -1;
	}
	done = libc_flush(fd);
	if (!done)
		note('s', path, 0, "", 0);
	return done;
}

int fsync(int fd)
{
	return flush(fd, libc_fsync);
}

int fdatasync(int fd)
{
	return flush(fd, libc_fdatasync);
}

int ftruncate64(int fd, off64_t length)
{
	char path[512];
	int done, known = watched(fd, path);

	if (known && fails(EIO_WRITE)) {
		errno = EIO;
		return -1;
	}
	done = libc_ftruncate(fd, length);
	if (known && !done)
		note('t', path, length, "", 0);
	return done;
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

int unlink(const char *path)
{
	int done = libc_unlink(path);

	if (!done && folder && !strncmp(path, folder, strlen(folder)))
		note('u', path, 0, "", 0);
	return done;
}
