/* The baseline of bench/census.js: dumps all TIME_WAIT entries through netlink and counts the
 * messages, which is the least that a program can do. Prints their number and the time in ns. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static ssize_t check(ssize_t result, const char* what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

/* Returns the number of messages of one family. */
static long dump(uint8_t family) {
  static char buffer[65536] __attribute__((aligned(8)));
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } message = {
      .header = {.nlmsg_len = sizeof(message),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .request = {.sdiag_family = family,
                  .sdiag_protocol = IPPROTO_TCP,
                  .idiag_states = 1 << TCP_TIME_WAIT},
  };
  const int fd = (int)check(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), "socket");
  check(send(fd, &message, sizeof(message), 0), "send");
  long count = 0;
  for (;;) {
    int left = (int)check(recv(fd, buffer, sizeof(buffer), 0), "recv");
    for (struct nlmsghdr* header = (struct nlmsghdr*)buffer; NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) {
        close(fd);
        return count;
      }
      if (header->nlmsg_type == NLMSG_ERROR) exit(1);
      count++;
    }
  }
}

int main(void) {
  const double start = now();
  const long count = dump(AF_INET) + dump(AF_INET6);
  printf("[%ld, %.0f]\n", count, now() - start);
  return 0;
}
