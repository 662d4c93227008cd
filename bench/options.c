/* The baseline of bench/options.js: loops of the same calls on the same kind of socket.
 * Prints, in ns per call: one setsockopt(TCP_NODELAY); eight settings, each set and read back. */
#include <arpa/inet.h>
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

static void check(int result, const char* what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
}

static int connected(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  check(bind(listener, (struct sockaddr*)&address, length), "bind");
  check(listen(listener, 1), "listen");
  check(getsockname(listener, (struct sockaddr*)&address, &length), "getsockname");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  check(connect(fd, (struct sockaddr*)&address, length), "connect");
  return fd;
}

struct setting {
  int level, name, values[2];
};

static const struct setting settings[] = {
    {IPPROTO_TCP, TCP_NODELAY, {0, 1}},
    {SOL_SOCKET, SO_KEEPALIVE, {1, 0}},
    {IPPROTO_TCP, TCP_KEEPIDLE, {30, 60}},
    {IPPROTO_TCP, TCP_KEEPINTVL, {5, 10}},
    {IPPROTO_TCP, TCP_KEEPCNT, {4, 5}},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, {30000, 20000}},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, {16384, 131072}},
    {IPPROTO_TCP, TCP_LINGER2, {5, 10}},
};

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 100000;
  const int fd = connected();
  double start = now();
  for (int i = 0; i < rounds; i++) {
    int value = i & 1;
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), "setsockopt");
  }
  const double set = (now() - start) / rounds;
  const int batches = rounds / 8;
  start = now();
  for (int i = 0; i < batches; i++) {
    for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
      const struct setting* setting = &settings[s];
      check(setsockopt(fd, setting->level, setting->name, &setting->values[i & 1], sizeof(int)),
            "setsockopt");
    }
    for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
      int value;
      socklen_t length = sizeof(value);
      check(getsockopt(fd, settings[s].level, settings[s].name, &value, &length), "getsockopt");
    }
  }
  const double batch = (now() - start) / batches;
  double info = 0;
#ifdef TCP_INFO
  char buffer[512];
  start = now();
  for (int i = 0; i < rounds; i++) {
    socklen_t length = sizeof(buffer);
    check(getsockopt(fd, IPPROTO_TCP, TCP_INFO, buffer, &length), "getsockopt");
  }
  info = (now() - start) / rounds;
#endif
  printf("{\"set\":%.1f,\"batch\":%.1f,\"info\":%.1f}\n", set, batch, info);
  return 0;
}
