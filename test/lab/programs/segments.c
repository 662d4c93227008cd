/*
 * Captures and sends TCP segments below the kernel's TCP.
 *
 *   segments plain INTERFACE          disables segmentation and checksum offload, as on a wire
 *   segments trace INTERFACE          prints each segment: the time, its direction and its flags
 *   segments capture INTERFACE FILE   writes the TCP segments that go out, and every SYN, to FILE
 *   segments inject INTERFACE FILE SENT RECEIVED SEND RECEIVE
 *                                     resends the segments of earlier connections whose SEQ and ACK
 *                                     fit the newest one, which has sent SENT and received RECEIVED
 *                                     bytes, and has windows of SEND and RECEIVE bytes
 *
 * One connection at a time, IPv4 without options.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
  LONGEST_FRAME = 65536,
  CAPTURE_BUFFER = 256 << 20,
  /* Sequence space left for the new connection's own bytes, before the first old segment. */
  GAP = 1000,
  PAUSE_MS = 20,
  LONGEST_WAIT_MS = 20000,
};

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void offload(const char* name, uint32_t command) {
  struct ethtool_value value = {.cmd = command, .data = 0};
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
  request.ifr_data = (void*)&value;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) != 0) fail("SIOCETHTOOL");
  close(fd);
}

static int packet_socket(const char* name) {
  const int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0) fail("socket");
  const int size = CAPTURE_BUFFER;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) fail("SO_RCVBUFFORCE");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  address.sll_ifindex = (int)if_nametoindex(name);
  if (bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  return fd;
}

struct segment {
  uint32_t seq;
  uint32_t ack;
  uint32_t length;
  int syn;
  int acks;
  int fin;
  int rst;
};

/* Returns 0 if the frame is not a TCP segment. */
static int parse(const uint8_t* frame, size_t size, struct segment* out) {
  struct iphdr ip;
  struct tcphdr tcp;
  const size_t start = ETH_HLEN + sizeof(ip);
  if (size < start + sizeof(tcp)) return 0;
  memcpy(&ip, frame + ETH_HLEN, sizeof(ip));
  memcpy(&tcp, frame + start, sizeof(tcp));
  if (ip.version != 4 || ip.ihl != 5 || ip.protocol != IPPROTO_TCP) return 0;
  out->seq = ntohl(tcp.seq);
  out->ack = ntohl(tcp.ack_seq);
  out->length = ntohs(ip.tot_len) - (uint32_t)sizeof(ip) - 4u * tcp.doff;
  out->syn = tcp.syn;
  out->acks = tcp.ack;
  out->fin = tcp.fin;
  out->rst = tcp.rst;
  return 1;
}

static void trace(const char* name) {
  static uint8_t frame[LONGEST_FRAME];
  const int fd = packet_socket(name);
  puts("tracing");
  for (;;) {
    fflush(stdout);
    struct sockaddr_ll from;
    struct timeval now;
    socklen_t length = sizeof(from);
    struct segment segment;
    const ssize_t size = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr*)&from, &length);
    if (size < 0) fail("recvfrom");
    if (!parse(frame, (size_t)size, &segment)) continue;
    if (ioctl(fd, SIOCGSTAMP, &now) != 0) fail("SIOCGSTAMP");
    printf("%ld.%06ld %s%s%s%s%s%s\n", (long)now.tv_sec, (long)now.tv_usec,
           from.sll_pkttype == PACKET_OUTGOING ? ">" : "<", segment.syn ? " SYN" : "",
           segment.fin ? " FIN" : "", segment.rst ? " RST" : "", segment.acks ? " ACK" : "",
           segment.length > 0 ? " data" : "");
  }
}

/* A frame in the file: its size, then its bytes. */
static void capture(const char* name, const char* path) {
  static uint8_t frame[sizeof(uint32_t) + LONGEST_FRAME];
  const int fd = packet_socket(name);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) fail(path);
  puts("capturing");
  fflush(stdout);
  for (;;) {
    struct sockaddr_ll from;
    socklen_t length = sizeof(from);
    const ssize_t size =
        recvfrom(fd, frame + sizeof(uint32_t), LONGEST_FRAME, 0, (struct sockaddr*)&from, &length);
    struct segment segment;
    if (size < 0) fail("recvfrom");
    if (!parse(frame + sizeof(uint32_t), (size_t)size, &segment)) continue;
    if (from.sll_pkttype != PACKET_OUTGOING && !segment.syn) continue;
    const uint32_t count = (uint32_t)size;
    memcpy(frame, &count, sizeof(count));
    if (write(file, frame, sizeof(count) + count) != (ssize_t)(sizeof(count) + count))
      fail("write");
  }
}

static int read_frame(FILE* file, uint8_t* frame, uint32_t* size, struct segment* out) {
  if (fread(size, sizeof(*size), 1, file) != 1) return 0;
  return *size <= LONGEST_FRAME && fread(frame, *size, 1, file) == 1 && parse(frame, *size, out);
}

static int within(uint32_t number, uint32_t from, uint32_t length) {
  return number - from < length;
}

/* The newest connection in the file. */
struct position {
  /* The next sequence numbers in each direction. */
  uint32_t ours;
  uint32_t theirs;
  /* The bytes sent in each direction. */
  uint32_t sent;
  uint32_t received;
  /* Its offset in the file. */
  long start;
};

static struct position newest_connection(FILE* file, uint8_t* frame) {
  struct position newest = {0};
  struct segment segment;
  uint32_t our_first = 0;
  uint32_t their_first = 0;
  uint32_t size = 0;
  rewind(file);
  for (long at = 0; read_frame(file, frame, &size, &segment); at = ftell(file)) {
    if (segment.syn && !segment.acks) {
      newest = (struct position){.start = at};
    } else if (segment.syn) {
      newest.theirs = their_first = segment.seq + 1;
      newest.ours = our_first = segment.ack;
    } else {
      newest.ours = segment.seq + segment.length;
      newest.theirs = segment.ack;
    }
    newest.sent = newest.ours - our_first;
    newest.received = newest.theirs - their_first;
  }
  rewind(file);
  return newest;
}

static void inject(const char* name, const char* path, uint32_t sent, uint32_t received,
                   uint32_t send_window, uint32_t receive_window) {
  static uint8_t frame[LONGEST_FRAME];
  struct segment segment;
  struct position newest;
  uint32_t size = 0;
  FILE* file = fopen(path, "r");
  if (file == NULL) fail(path);
  for (int tries = 0;; tries++) {
    newest = newest_connection(file, frame);
    if (newest.sent == sent && newest.received == received) break;
    if (tries == LONGEST_WAIT_MS / PAUSE_MS) {
      fputs("the capture does not catch up\n", stderr);
      exit(1);
    }
    usleep(1000 * PAUSE_MS);
  }
  const uint32_t ours = newest.ours;
  const uint32_t theirs = newest.theirs;
  const int fd = packet_socket(name);
  unsigned segments = 0;
  unsigned bytes = 0;
  while (ftell(file) < newest.start && read_frame(file, frame, &size, &segment)) {
    if (segment.syn || segment.length == 0) continue;
    if (!within(segment.seq, ours + GAP, send_window - GAP)) continue;
    if (!within(segment.seq + segment.length, ours, send_window)) continue;
    /* The ACK must not cover data that the peer has not sent, nor be older than a window (RFC 5961
     * section 5). */
    if (!within(segment.ack, theirs - receive_window, receive_window + 1)) continue;
    if (send(fd, frame, size, 0) != (ssize_t)size) fail("send");
    segments++;
    bytes += segment.length;
  }
  printf("{\"segments\":%u,\"bytes\":%u}\n", segments, bytes);
}

static uint32_t number(const char* text) { return (uint32_t)strtoul(text, NULL, 10); }

int main(int count, char** arguments) {
  if (count == 3 && strcmp(arguments[1], "plain") == 0) {
    offload(arguments[2], ETHTOOL_STSO);
    offload(arguments[2], ETHTOOL_SGSO);
    offload(arguments[2], ETHTOOL_STXCSUM);
  } else if (count == 3 && strcmp(arguments[1], "trace") == 0) {
    trace(arguments[2]);
  } else if (count == 4 && strcmp(arguments[1], "capture") == 0) {
    capture(arguments[2], arguments[3]);
  } else if (count == 8 && strcmp(arguments[1], "inject") == 0) {
    inject(arguments[2], arguments[3], number(arguments[4]), number(arguments[5]),
           number(arguments[6]), number(arguments[7]));
  } else {
    fputs("segments plain|trace|capture|inject INTERFACE [FILE [SENT RECEIVED SEND RECEIVE]]\n",
          stderr);
    return 2;
  }
  return 0;
}
