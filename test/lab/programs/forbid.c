// forbid CALL ERRNO COMMAND...: runs a command under a seccomp filter that refuses one system call:
// `connect`, or `socket` with AF_INET.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skipped))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int is_socket = strcmp(argv[1], "socket") == 0;
  const unsigned int number = is_socket ? SYS_socket : SYS_connect;
  const unsigned int refusal = SECCOMP_RET_ERRNO | ((unsigned int)atoi(argv[2]) & SECCOMP_RET_DATA);
  struct sock_filter any[] = {
      LOAD(nr),
      UNLESS(number, 1),
      RETURN(refusal),
      RETURN(SECCOMP_RET_ALLOW),
  };
  // The low 32 bits of the first argument, on a little-endian machine.
  struct sock_filter internet[] = {
      LOAD(nr),           UNLESS(number, 3), LOAD(args[0]),
      UNLESS(AF_INET, 1), RETURN(refusal),   RETURN(SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {
      .len = is_socket ? sizeof(internet) / sizeof(*internet) : sizeof(any) / sizeof(*any),
      .filter = is_socket ? internet : any,
  };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("prctl");
    return 1;
  }
  execvp(argv[3], argv + 3);
  perror(argv[3]);
  return 1;
}
