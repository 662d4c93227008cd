/*
 * A link that loses, reorders and duplicates packets.
 *
 *   bad-link DEVICE SEED LOSS LATE DOUBLE MS
 *
 * creates a tun device that returns each packet with the lowest bit of the network flipped in both
 * addresses: a packet from 10.9.0.1 to 10.9.1.2 returns as one from 10.9.1.1 to 10.9.0.2. Both ends
 * can thus be in one namespace, and the checksums stay valid. LOSS, LATE and DOUBLE are numbers of
 * packets, of 1000. A late packet is delayed by 1 to MS milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_PACKET = 2048, MOST_LATE = 4096 };

struct late {
  int64_t due;
  size_t size;
  uint8_t packet[LONGEST_PACKET];
};

static struct late late[MOST_LATE];
static size_t waiting;
static uint64_t state;

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* xorshift64*: a seed causes the same losses on every machine. */
static unsigned below(unsigned limit) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (unsigned)((state * 0x2545F4914F6CDD1DULL) >> 33) % limit;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_device(const char* name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) fail("/dev/net/tun");
  return fd;
}

/* 10.9.X.1, and fd09:0:0:X::1 */
static int turn_over(uint8_t* packet, size_t size) {
  if (size >= 20 && packet[0] >> 4 == 4) {
    packet[14] ^= 1;
    packet[18] ^= 1;
    return 1;
  }
  /* The device needs no neighbour discovery. */
  if (size < 40 || packet[0] >> 4 != 6 || packet[8] != 0xfd || packet[24] != 0xfd) return 0;
  packet[15] ^= 1;
  packet[31] ^= 1;
  return 1;
}

static void put(int fd, const uint8_t* packet, size_t size) {
  /* A full queue drops packets, like that of any link. */
  if (write(fd, packet, size) < 0 && errno != EAGAIN && errno != ENOBUFS) fail("write");
}

static void put_due(int fd) {
  const int64_t now = now_ms();
  for (size_t at = 0; at < waiting;) {
    if (late[at].due > now) {
      at++;
      continue;
    }
    put(fd, late[at].packet, late[at].size);
    late[at] = late[--waiting];
  }
}

int main(int count, char** arguments) {
  if (count != 7) {
    fputs("bad-link DEVICE SEED LOSS LATE DOUBLE MS\n", stderr);
    return 2;
  }
  unsigned numbers[5];
  for (int at = 0; at < 5; at++) numbers[at] = (unsigned)strtoul(arguments[at + 2], NULL, 10);
  state = numbers[0] + 0x9E3779B97F4A7C15ULL;
  const int fd = open_device(arguments[1]);
  puts("ready");
  fflush(stdout);
  for (;;) {
    static uint8_t packet[LONGEST_PACKET];
    struct pollfd event = {.fd = fd, .events = POLLIN};
    if (poll(&event, 1, waiting > 0 ? 1 : -1) < 0) fail("poll");
    put_due(fd);
    const ssize_t size = read(fd, packet, sizeof(packet));
    if (size < 0) {
      /* Fails with EIO before the device is up. */
      if (errno == EIO) usleep(1000);
      if (errno == EAGAIN || errno == EIO) continue;
      fail("read");
    }
    if (!turn_over(packet, (size_t)size) || below(1000) < numbers[1]) continue;
    if (below(1000) < numbers[3]) put(fd, packet, (size_t)size);
    if (waiting < MOST_LATE && below(1000) < numbers[2]) {
      struct late* one = &late[waiting++];
      one->due = now_ms() + 1 + below(numbers[4]);
      one->size = (size_t)size;
      memcpy(one->packet, packet, (size_t)size);
      continue;
    }
    put(fd, packet, (size_t)size);
  }
}
