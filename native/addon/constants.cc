// The only file that knows which option has which number on which platform. It exports the
// numbers by name; an option that it does not export is unsupported on that platform.
//
// To add an option, add one entry here and one row to lib/options/catalogue/.

#ifdef __APPLE__
// Without it <netinet/in.h> hides the options of RFC 3542.
#define __APPLE_USE_RFC_3542
#endif

#include "constants.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace socket_tuner {
namespace {

struct Constant {
  const char* name;
  int value;
};

#define FROM_HEADER(name) {#name, name}

constexpr Constant kConstants[] = {
    // Levels, protocols, families and types.
    FROM_HEADER(SOL_SOCKET),
    FROM_HEADER(IPPROTO_TCP),
    FROM_HEADER(IPPROTO_IP),
    FROM_HEADER(IPPROTO_IPV6),
#ifdef __linux__
    {"SOL_UDP", 17},
    {"SOL_TLS", 282},
    {"SOL_MPTCP", 284},
    {"IPPROTO_MPTCP", 262},
#endif
    FROM_HEADER(AF_UNIX),
    FROM_HEADER(AF_INET),
    FROM_HEADER(AF_INET6),
    FROM_HEADER(SOCK_STREAM),
    FROM_HEADER(SOCK_DGRAM),
    {"TIMEVAL_BYTES", sizeof(timeval)},

#if defined(__linux__) || defined(__APPLE__)
    // Options with one name and one meaning on Linux and macOS.
    FROM_HEADER(SO_ACCEPTCONN),
    FROM_HEADER(SO_BROADCAST),
    FROM_HEADER(SO_DEBUG),
    FROM_HEADER(SO_DONTROUTE),
    FROM_HEADER(SO_ERROR),
    FROM_HEADER(SO_KEEPALIVE),
    FROM_HEADER(SO_OOBINLINE),
    FROM_HEADER(SO_RCVBUF),
    FROM_HEADER(SO_RCVLOWAT),
    FROM_HEADER(SO_RCVTIMEO),
    FROM_HEADER(SO_REUSEADDR),
    FROM_HEADER(SO_REUSEPORT),
    FROM_HEADER(SO_SNDBUF),
    FROM_HEADER(SO_SNDLOWAT),
    FROM_HEADER(SO_SNDTIMEO),
    FROM_HEADER(SO_TIMESTAMP),
    FROM_HEADER(SO_TYPE),
    FROM_HEADER(TCP_KEEPCNT),
    FROM_HEADER(TCP_KEEPINTVL),
    FROM_HEADER(TCP_MAXSEG),
    FROM_HEADER(TCP_NODELAY),
    FROM_HEADER(IP_OPTIONS),
    FROM_HEADER(IP_PKTINFO),
    FROM_HEADER(IP_RECVOPTS),
    FROM_HEADER(IP_RECVTTL),
    FROM_HEADER(IP_TOS),
    FROM_HEADER(IP_TTL),
    FROM_HEADER(IPV6_DONTFRAG),
    FROM_HEADER(IPV6_RECVHOPLIMIT),
    FROM_HEADER(IPV6_RECVPKTINFO),
    FROM_HEADER(IPV6_RECVTCLASS),
    FROM_HEADER(IPV6_TCLASS),
    FROM_HEADER(IPV6_UNICAST_HOPS),
    FROM_HEADER(IPV6_V6ONLY),
#endif

#ifdef __linux__
    // Linux, in every header that this is compiled with.
    FROM_HEADER(SO_ATTACH_FILTER),
    FROM_HEADER(SO_BINDTODEVICE),
    FROM_HEADER(SO_DETACH_FILTER),
    FROM_HEADER(SO_DOMAIN),
    FROM_HEADER(SO_LINGER),
    FROM_HEADER(SO_MARK),
    FROM_HEADER(SO_PASSCRED),
    FROM_HEADER(SO_PASSSEC),
    FROM_HEADER(SO_PEERCRED),
    FROM_HEADER(SO_PEERSEC),
    FROM_HEADER(SO_PRIORITY),
    FROM_HEADER(SO_PROTOCOL),
    FROM_HEADER(SO_RCVBUFFORCE),
    FROM_HEADER(SO_RXQ_OVFL),
    FROM_HEADER(SO_SNDBUFFORCE),
    FROM_HEADER(SO_TIMESTAMPING),
    FROM_HEADER(SO_TIMESTAMPNS),
    FROM_HEADER(TCP_CONGESTION),
    FROM_HEADER(TCP_CORK),
    FROM_HEADER(TCP_DEFER_ACCEPT),
    FROM_HEADER(TCP_INFO),
    FROM_HEADER(TCP_KEEPIDLE),
    FROM_HEADER(TCP_LINGER2),
    FROM_HEADER(TCP_MD5SIG),
    FROM_HEADER(TCP_QUICKACK),
    FROM_HEADER(TCP_SYNCNT),
    FROM_HEADER(TCP_WINDOW_CLAMP),
    FROM_HEADER(IP_FREEBIND),
    FROM_HEADER(IP_MTU),
    FROM_HEADER(IP_MTU_DISCOVER),
    FROM_HEADER(IP_PASSSEC),
    FROM_HEADER(IP_RECVERR),
    FROM_HEADER(IP_RECVTOS),
    FROM_HEADER(IP_RETOPTS),
    FROM_HEADER(IP_TRANSPARENT),
    FROM_HEADER(IPV6_ADDRFORM),
    FROM_HEADER(IPV6_MTU),
    FROM_HEADER(IPV6_MTU_DISCOVER),
    FROM_HEADER(IPV6_RECVERR),

    // Linux, newer than some of those headers. The numbers are part of the kernel's ABI. Those of
    // SOL_SOCKET are the ones of <asm-generic/socket.h>, which every architecture that Node runs on
    // shares.
    {"SO_ATTACH_BPF", 50},
    {"SO_ATTACH_REUSEPORT_CBPF", 51},
    {"SO_ATTACH_REUSEPORT_EBPF", 52},
    {"SO_BINDTOIFINDEX", 62},
    {"SO_BPF_EXTENSIONS", 48},
    {"SO_BUF_LOCK", 72},
    {"SO_BUSY_POLL", 46},
    {"SO_BUSY_POLL_BUDGET", 70},
    {"SO_CNX_ADVICE", 53},
    {"SO_COOKIE", 57},
    {"SO_DETACH_REUSEPORT_BPF", 68},
    {"SO_DEVMEM_DONTNEED", 80},
    {"SO_GET_FILTER", 26},
    {"SO_INCOMING_CPU", 49},
    {"SO_INCOMING_NAPI_ID", 56},
    {"SO_LOCK_FILTER", 44},
    {"SO_MAX_PACING_RATE", 47},
    {"SO_MEMINFO", 55},
    {"SO_NETNS_COOKIE", 71},
    {"SO_NOFCS", 43},
    {"SO_NO_CHECK", 11},
    {"SO_PASSPIDFD", 76},
    {"SO_PASSRIGHTS", 83},
    {"SO_PEEK_OFF", 42},
    {"SO_PEERGROUPS", 59},
    {"SO_PEERPIDFD", 77},
    {"SO_PREFER_BUSY_POLL", 69},
    {"SO_RCVMARK", 75},
    {"SO_RCVPRIORITY", 82},
    {"SO_RESERVE_MEM", 73},
    {"SO_SELECT_ERR_QUEUE", 45},
    {"SO_TXREHASH", 74},
    {"SO_TXTIME", 61},
    {"SO_WIFI_STATUS", 41},
    {"SO_ZEROCOPY", 60},
    {"TCP_AO_ADD_KEY", 38},
    {"TCP_AO_DEL_KEY", 39},
    {"TCP_AO_GET_KEYS", 41},
    {"TCP_AO_INFO", 40},
    {"TCP_AO_REPAIR", 42},
    {"TCP_CC_INFO", 26},
    {"TCP_DELACK_MAX_US", 46},
    {"TCP_FASTOPEN", 23},
    {"TCP_FASTOPEN_CONNECT", 30},
    {"TCP_FASTOPEN_KEY", 33},
    {"TCP_FASTOPEN_NO_COOKIE", 34},
    {"TCP_INQ", 36},
    {"TCP_IS_MPTCP", 43},
    {"TCP_MD5SIG_EXT", 32},
    {"TCP_NOTSENT_LOWAT", 25},
    {"TCP_QUEUE_SEQ", 21},
    {"TCP_REPAIR", 19},
    {"TCP_REPAIR_OPTIONS", 22},
    {"TCP_REPAIR_QUEUE", 20},
    {"TCP_REPAIR_WINDOW", 29},
    {"TCP_RTO_MAX_MS", 44},
    {"TCP_RTO_MIN_US", 45},
    {"TCP_SAVED_SYN", 28},
    {"TCP_SAVE_SYN", 27},
    {"TCP_THIN_DUPACK", 17},
    {"TCP_THIN_LINEAR_TIMEOUTS", 16},
    {"TCP_TIMESTAMP", 24},
    {"TCP_TX_DELAY", 37},
    {"TCP_ULP", 31},
    {"TCP_USER_TIMEOUT", 18},
    {"TCP_ZEROCOPY_RECEIVE", 35},
    {"IP_ADD_MEMBERSHIP", 35},
    {"IP_ADD_SOURCE_MEMBERSHIP", 39},
    {"IP_BIND_ADDRESS_NO_PORT", 24},
    {"IP_BLOCK_SOURCE", 38},
    {"IP_CHECKSUM", 23},
    {"IP_DROP_MEMBERSHIP", 36},
    {"IP_DROP_SOURCE_MEMBERSHIP", 40},
    {"IP_HDRINCL", 3},
    {"IP_IPSEC_POLICY", 16},
    {"IP_LOCAL_PORT_RANGE", 51},
    {"IP_MINTTL", 21},
    {"IP_MSFILTER", 41},
    {"IP_MULTICAST_ALL", 49},
    {"IP_MULTICAST_IF", 32},
    {"IP_MULTICAST_LOOP", 34},
    {"IP_MULTICAST_TTL", 33},
    {"IP_NODEFRAG", 22},
    {"IP_PKTOPTIONS", 9},
    {"IP_PROTOCOL", 52},
    {"IP_RECVERR_RFC4884", 26},
    {"IP_RECVFRAGSIZE", 25},
    {"IP_RECVORIGDSTADDR", 20},
    {"IP_ROUTER_ALERT", 5},
    {"IP_UNBLOCK_SOURCE", 37},
    {"IP_UNICAST_IF", 50},
    {"IP_XFRM_POLICY", 17},
    {"SO_ORIGINAL_DST", 80},
    {"IP6T_SO_ORIGINAL_DST", 80},
    {"IPV6_ADDR_PREFERENCES", 72},
    {"IPV6_ADD_MEMBERSHIP", 20},
    {"IPV6_AUTOFLOWLABEL", 70},
    {"IPV6_CHECKSUM", 7},
    {"IPV6_DROP_MEMBERSHIP", 21},
    {"IPV6_DSTOPTS", 59},
    {"IPV6_FLOWINFO_SEND", 33},
    {"IPV6_FLOWLABEL_MGR", 32},
    {"IPV6_FREEBIND", 78},
    {"IPV6_HDRINCL", 36},
    {"IPV6_HOPLIMIT", 52},
    {"IPV6_HOPOPTS", 54},
    {"IPV6_IPSEC_POLICY", 34},
    {"IPV6_JOIN_ANYCAST", 27},
    {"IPV6_LEAVE_ANYCAST", 28},
    {"IPV6_MINHOPCOUNT", 73},
    {"IPV6_MULTICAST_ALL", 29},
    {"IPV6_MULTICAST_HOPS", 18},
    {"IPV6_MULTICAST_IF", 17},
    {"IPV6_MULTICAST_LOOP", 19},
    {"IPV6_PATHMTU", 61},
    {"IPV6_PKTINFO", 50},
    {"IPV6_RECVDSTOPTS", 58},
    {"IPV6_RECVERR_RFC4884", 31},
    {"IPV6_RECVFRAGSIZE", 77},
    {"IPV6_RECVHOPOPTS", 53},
    {"IPV6_RECVORIGDSTADDR", 74},
    {"IPV6_RECVPATHMTU", 60},
    {"IPV6_RECVRTHDR", 56},
    {"IPV6_ROUTER_ALERT", 22},
    {"IPV6_ROUTER_ALERT_ISOLATE", 30},
    {"IPV6_RTHDR", 57},
    {"IPV6_RTHDRDSTOPTS", 55},
    {"IPV6_TRANSPARENT", 75},
    {"IPV6_UNICAST_IF", 76},
    {"IPV6_XFRM_POLICY", 35},
    {"UDP_CORK", 1},
    {"UDP_ENCAP", 100},
    {"UDP_GRO", 104},
    {"UDP_NO_CHECK6_RX", 102},
    {"UDP_NO_CHECK6_TX", 101},
    {"UDP_SEGMENT", 103},
    {"MPTCP_FULL_INFO", 4},
    {"MPTCP_INFO", 1},
    {"MPTCP_SUBFLOW_ADDRS", 3},
    {"MPTCP_TCPINFO", 2},
    {"TLS_RX", 2},
    {"TLS_RX_EXPECT_NO_PAD", 4},
    {"TLS_TX", 1},
    {"TLS_TX_ZEROCOPY_RO", 3},
#endif

#ifdef __APPLE__
    // macOS, where the option of this meaning has another name.
    {"SO_LINGER", SO_LINGER_SEC},    // SO_LINGER counts in clock ticks.
    {"TCP_CORK", TCP_NOPUSH},        // Clearing it does not send what it held back.
    {"TCP_KEEPIDLE", TCP_KEEPALIVE},

    // macOS, newer than some of its SDKs, or hidden by them. The numbers are part of its ABI.
    {"SO_NET_SERVICE_TYPE", 0x1116},
    {"SO_NOSIGPIPE", 0x1022},
    {"SO_NREAD", 0x1020},
    {"SO_NWRITE", 0x1024},
    {"SO_RANDOMPORT", 0x1082},
    {"PERSIST_TIMEOUT", 0x40},
    {"TCP_CONNECTIONTIMEOUT", 0x20},
    {"TCP_ENABLE_ECN", 0x104},
    {"TCP_FASTOPEN", 0x105},
    {"TCP_NOOPT", 0x08},
    {"TCP_NOTSENT_LOWAT", 0x201},
    {"TCP_RXT_CONNDROPTIME", 0x80},
    {"TCP_RXT_FINDROP", 0x100},
    {"TCP_SENDMOREACKS", 0x103},
    {"IP_BOUND_IF", 25},
    {"IP_RECVTOS", 27},
    {"IPV6_AUTOFLOWLABEL", 59},
    {"IPV6_BOUND_IF", 125},
#endif
};

#undef FROM_HEADER

}  // namespace

void ExportConstants(Napi::Env env, Napi::Object exports) {
  Napi::Object constants = Napi::Object::New(env);
  for (const Constant& constant : kConstants) {
    constants.Set(constant.name, Napi::Number::New(env, constant.value));
  }
  exports.Set("constants", constants);
}

}  // namespace socket_tuner
