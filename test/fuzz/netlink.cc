// A libFuzzer harness for the parsers of the kernel's answers (native/kernel/netlink.cc and the
// files that use it): datagrams that are truncated, malformed, or not from the kernel.
// .ci/fuzz-netlink builds and runs it.
//
// An input is one byte that selects the fields to group by, then datagrams, each preceded by two
// bytes with its length.
#include "../../native/kernel/ended_sockets.h"
#include "../../native/kernel/sock_diag_destroy.h"
#include "../../native/kernel/sock_diag_dump.h"
#include "../../native/kernel/socket_list.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <sys/socket.h>

namespace {

// Few, so that they are filled.
constexpr std::size_t kMaxGroups = 16;
constexpr std::size_t kMaxEntries = 16;
constexpr std::size_t kMaxListedHere = 16;
constexpr std::size_t kMaxEnded = 4;
constexpr uint32_t kSequence = 1;

// Ends the run because an assertion failed.
void Check(bool claim) {
  if (!claim) std::abort();
}

// Passes the datagrams of an input to an answer, until it is complete or refused.
void Feed(socket_tuner::kernel::DumpAnswer* answer, const uint8_t* data, std::size_t size) {
  int result = 0;
  while (result == 0 && size >= 2) {
    std::size_t length = data[0] + (static_cast<std::size_t>(data[1]) << 8);
    data += 2, size -= 2;
    length = std::min(length, size);
    // Memory of exactly this length, so that an access beyond it is detected.
    const std::vector<uint8_t> datagram(data, data + length);
    result = answer->Take(datagram.data(), datagram.size(), kSequence);
    Check(result <= 1);
    data += length, size -= length;
  }
}

// Reads the datagrams of an input as broadcasts.
void ReadEnded(const uint8_t* data, std::size_t size) {
  while (size >= 2) {
    std::size_t length = data[0] + (static_cast<std::size_t>(data[1]) << 8);
    data += 2, size -= 2;
    length = std::min(length, size);
    const std::vector<uint8_t> datagram(data, data + length);
    std::vector<socket_tuner::kernel::EndedSocket> sockets(kMaxEnded);
    const int count = socket_tuner::kernel::ReadEndedSockets(datagram.data(), datagram.size(),
                                                             sockets.data(), sockets.size());
    Check(count <= static_cast<int>(kMaxEnded));
    for (int i = 0; i < count; i++) {
      Check(sockets[static_cast<std::size_t>(i)].info_length <= sizeof(sockets[0].info));
    }
    data += length, size -= length;
  }
}

void CheckDump(socket_tuner::kernel::SocketDump* dump) {
  const std::size_t size = dump->table().size();
  Check(size <= kMaxGroups);
  Check(dump->Sort() == 0);
  const auto groups = dump->table().Release();
  std::size_t counted = 0;
  for (std::size_t i = 0; i < size; i++) {
    Check(groups[i].count > 0);
    Check(i == 0 || groups[i].count <= groups[i - 1].count);
    counted += groups[i].count;
  }
  Check(counted == dump->total());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  socket_tuner::kernel::SocketDump dump(data[0], kMaxGroups);
  Feed(&dump, data + 1, size - 1);
  CheckDump(&dump);
  socket_tuner::kernel::TimeWaitList list;
  Check(list.Reserve(AF_INET, kMaxEntries) == 0);
  Feed(&list, data + 1, size - 1);
  Check(list.size() <= kMaxEntries);
  socket_tuner::kernel::SocketList sockets(kMaxListedHere);
  Feed(&sockets, data + 1, size - 1);
  Check(sockets.size() <= kMaxListedHere);
  ReadEnded(data + 1, size - 1);
  return 0;
}
