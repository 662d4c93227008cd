// Sends urgent data, with other data before and after it, on descriptor 3.
#include <sys/socket.h>

int main(void) {
  return send(3, "before", 6, 0) != 6 || send(3, "!", 1, MSG_OOB) != 1 ||
         send(3, "after", 5, 0) != 5;
}
