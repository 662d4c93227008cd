// netlink-seeds FOLDER: writes real answers of this kernel as inputs for netlink.cc: a dump of the
// TCP sockets of each family, and a refusal.
#include <arpa/inet.h>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace {

using Datagrams = std::vector<std::vector<uint8_t>>;

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

// A socket for the dump. It stays open until the program ends.
void Listen(int family) {
  const int fd = socket(family, SOCK_STREAM, 0);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  const bool bound = family == AF_INET
                         ? bind(fd, reinterpret_cast<sockaddr*>(&v4), sizeof(v4)) == 0
                         : bind(fd, reinterpret_cast<sockaddr*>(&v6), sizeof(v6)) == 0;
  if (!bound || listen(fd, 1) < 0) std::perror("no socket of this family");
}

// Returns the first and the last datagram of the answer; none if the request fails.
Datagrams Ask(int family, int flags) {
  Datagrams answer;
  const int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = static_cast<uint16_t>(flags);
  request.header.nlmsg_seq = 1;
  request.body.sdiag_family = static_cast<uint8_t>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = UINT32_MAX;
  if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0) return answer;
  for (;;) {
    std::vector<uint8_t> datagram(4096);
    const ssize_t length = recv(fd, datagram.data(), datagram.size(), 0);
    if (length < static_cast<ssize_t>(sizeof(nlmsghdr))) return {};
    const uint16_t type = reinterpret_cast<const nlmsghdr*>(datagram.data())->nlmsg_type;
    datagram.resize(static_cast<std::size_t>(length));
    if (answer.size() > 1) answer.pop_back();
    answer.push_back(datagram);
    if (type == NLMSG_DONE || type == NLMSG_ERROR) return answer;
  }
}

bool Write(const std::string& path, int group_by, const Datagrams& datagrams) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  std::fputc(group_by, file);
  for (const std::vector<uint8_t>& datagram : datagrams) {
    std::fputc(static_cast<int>(datagram.size() & 0xff), file);
    std::fputc(static_cast<int>(datagram.size() >> 8), file);
    std::fwrite(datagram.data(), 1, datagram.size(), file);
  }
  return std::fclose(file) == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 1;
  const std::string folder = arguments[1];
  int written = 0;
  for (const int family : {AF_INET, AF_INET6}) {
    Listen(family);
    for (const int flags : {NLM_F_REQUEST, NLM_F_REQUEST | NLM_F_DUMP}) {
      const Datagrams answer = Ask(family, flags);
      if (answer.empty()) return 1;
      for (const int group_by : {0, 3, 12, 48, 63}) {
        if (!Write(folder + "/" + std::to_string(written++), group_by, answer)) return 1;
      }
    }
  }
  std::printf("%d inputs\n", written);
  return 0;
}
