/*
 * A link with a bottleneck: a rate, a queue, and a delay behind it.
 *
 *   slow-link DEVICE BYTES_PER_SECOND PACKETS MS
 *
 * creates a tun device that returns each packet as bad-link.c does, with the lowest bit of the
 * network flipped in both addresses. Each of the two directions has its own bottleneck. A packet
 * that finds PACKETS in the queue is dropped. MS is the delay of each packet.
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

enum { LONGEST_PACKET = 2048, MOST_PACKETS = 8192 };

struct packet {
  /* When it leaves the queue, and when it arrives; µs. */
  int64_t sent;
  int64_t due;
  size_t size;
  uint8_t bytes[LONGEST_PACKET];
};

/* One direction: a ring of packets in order. */
struct direction {
  struct packet packets[MOST_PACKETS];
  size_t first;
  size_t count;
  int64_t free_at;
};

static struct direction directions[2];

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int open_device(const char* name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) fail("/dev/net/tun");
  return fd;
}

/* Returns the direction of an IPv4 packet from 10.9.X.1 after the flip; -1 for any other packet. */
static int turn_over(uint8_t* packet, size_t size) {
  if (size < 20 || packet[0] >> 4 != 4) return -1;
  packet[14] ^= 1;
  packet[18] ^= 1;
  return packet[14] & 1;
}

static size_t queued(const struct direction* to, int64_t now) {
  size_t count = 0;
  for (size_t at = to->count; at > 0; at--) {
    if (to->packets[(to->first + at - 1) % MOST_PACKETS].sent <= now) break;
    count++;
  }
  return count;
}

static void put_due(int fd, struct direction* to, int64_t now) {
  while (to->count > 0 && to->packets[to->first].due <= now) {
    const struct packet* packet = &to->packets[to->first];
    if (write(fd, packet->bytes, packet->size) < 0 && errno != EAGAIN && errno != ENOBUFS)
      fail("write");
    to->first = (to->first + 1) % MOST_PACKETS;
    to->count--;
  }
}

int main(int count, char** arguments) {
  if (count != 5) {
    fputs("slow-link DEVICE BYTES_PER_SECOND PACKETS MS\n", stderr);
    return 2;
  }
  const int64_t rate = strtoll(arguments[2], NULL, 10);
  const size_t limit = strtoul(arguments[3], NULL, 10);
  const int64_t delay = strtoll(arguments[4], NULL, 10) * 1000;
  const int fd = open_device(arguments[1]);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct pollfd event = {.fd = fd, .events = POLLIN};
    const int is_waiting = directions[0].count + directions[1].count > 0;
    if (poll(&event, 1, is_waiting ? 1 : -1) < 0) fail("poll");
    const int64_t now = now_us();
    put_due(fd, &directions[0], now);
    put_due(fd, &directions[1], now);
    uint8_t bytes[LONGEST_PACKET];
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    if (size < 0) {
      /* Fails with EIO before the device is up. */
      if (errno == EIO) usleep(1000);
      if (errno == EAGAIN || errno == EIO) continue;
      fail("read");
    }
    const int which = turn_over(bytes, (size_t)size);
    if (which < 0) continue;
    struct direction* to = &directions[which];
    if (to->count == MOST_PACKETS || queued(to, now) >= limit) continue;
    struct packet* packet = &to->packets[(to->first + to->count++) % MOST_PACKETS];
    const int64_t starts = to->free_at > now ? to->free_at : now;
    packet->sent = to->free_at = starts + (int64_t)size * 1000000 / rate;
    packet->due = packet->sent + delay;
    packet->size = (size_t)size;
    memcpy(packet->bytes, bytes, (size_t)size);
  }
}
