/* Creates COUNT TIME_WAIT entries at the client's end, all for one destination, and prints "ready".
 * Much faster than a client in Node: all entries must exist and be counted before the first
 * expires. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVER_PORT = 9101, FIRST_PORT = 10000, PORTS_OF_AN_ADDRESS = 50000 };

/* The number of connections that wait for the FIN of the server; below its backlog. If the client
 * closed a connection before that FIN arrived, the kernel could lose the FIN: it would be repeated
 * 200 ms later or never, and the client's end would stay in FIN_WAIT2 for a minute. */
enum { AHEAD = 512, BACKLOG = 2 * AHEAD };

static ssize_t check(ssize_t result, const char* what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

static struct sockaddr_in address(uint32_t host, uint16_t port) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
  return result;
}

/* Closes after the client, so that the client keeps the entry. */
static void serve(int listener, long count) {
  for (long i = 0; i < count; i++) {
    const int fd = (int)check(accept(listener, NULL, NULL), "accept");
    char byte;
    check(read(fd, &byte, 1), "read");
    close(fd);
  }
}

/* Waits for the FIN of the server: after it, only the TIME_WAIT entry is left. */
static void finish(int fd) {
  char byte;
  check(read(fd, &byte, 1), "read of the FIN");
  close(fd);
}

int main(int argc, char** argv) {
  const long count = argc == 2 ? atol(argv[1]) : 0;
  const int on = 1;
  const struct sockaddr_in server = address(0, SERVER_PORT);
  const int listener = (int)check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  check(bind(listener, (const struct sockaddr*)&server, sizeof(server)), "bind");
  check(listen(listener, BACKLOG), "listen");
  const pid_t child = (pid_t)check(fork(), "fork");
  if (child == 0) {
    serve(listener, count);
    return 0;
  }
  int waiting[AHEAD];
  for (long i = 0; i < count; i++) {
    if (i >= AHEAD) finish(waiting[i % AHEAD]);
    const struct sockaddr_in source = address((uint32_t)(1 + i / PORTS_OF_AN_ADDRESS),
                                              (uint16_t)(FIRST_PORT + i % PORTS_OF_AN_ADDRESS));
    const int fd = (int)check(socket(AF_INET, SOCK_STREAM, 0), "socket");
    check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
    check(bind(fd, (const struct sockaddr*)&source, sizeof(source)), "bind");
    check(connect(fd, (const struct sockaddr*)&server, sizeof(server)), "connect");
    check(shutdown(fd, SHUT_WR), "shutdown");
    waiting[i % AHEAD] = fd;
  }
  for (long i = count < AHEAD ? 0 : count - AHEAD; i < count; i++) finish(waiting[i % AHEAD]);
  int status;
  check(waitpid(child, &status, 0), "waitpid");
  if (status != 0) {
    fprintf(stderr, "the server ended with status %d\n", status);
    return 1;
  }
  printf("ready\n");
  return 0;
}
