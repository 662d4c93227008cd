// TCP_INFO (tcp(7)): the kernel's data about a connection.
#ifndef SOCKET_TUNER_KERNEL_TCP_INFO_H_
#define SOCKET_TUNER_KERNEL_TCP_INFO_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// The complete struct tcp_info of linux/tcp.h: the headers of most machines lack its newest
// members. The kernel only appends members, so an older kernel fills the front. scripts/layouts.js
// writes the offsets for TypeScript.
struct TcpInfo {
  uint8_t state;
  uint8_t ca_state;
  uint8_t retransmits;
  uint8_t probes;
  uint8_t backoff;
  uint8_t options;
  uint8_t window_scales;  // snd_wscale:4, rcv_wscale:4
  uint8_t flags;          // delivery_rate_app_limited:1, fastopen_client_fail:2
  uint32_t rto;
  uint32_t ato;
  uint32_t snd_mss;
  uint32_t rcv_mss;
  uint32_t unacked;
  uint32_t sacked;
  uint32_t lost;
  uint32_t retrans;
  uint32_t fackets;
  uint32_t last_data_sent;
  uint32_t last_ack_sent;
  uint32_t last_data_recv;
  uint32_t last_ack_recv;
  uint32_t pmtu;
  uint32_t rcv_ssthresh;
  uint32_t rtt;
  uint32_t rttvar;
  uint32_t snd_ssthresh;
  uint32_t snd_cwnd;
  uint32_t advmss;
  uint32_t reordering;
  uint32_t rcv_rtt;
  uint32_t rcv_space;
  uint32_t total_retrans;
  // Linux 3.15
  uint64_t pacing_rate;
  uint64_t max_pacing_rate;
  // Linux 4.1
  uint64_t bytes_acked;
  uint64_t bytes_received;
  // Linux 4.2
  uint32_t segs_out;
  uint32_t segs_in;
  // Linux 4.6
  uint32_t notsent_bytes;
  uint32_t min_rtt;
  uint32_t data_segs_in;
  uint32_t data_segs_out;
  // Linux 4.9
  uint64_t delivery_rate;
  // Linux 4.10
  uint64_t busy_time;
  uint64_t rwnd_limited;
  uint64_t sndbuf_limited;
  // Linux 4.18
  uint32_t delivered;
  uint32_t delivered_ce;
  // Linux 4.19
  uint64_t bytes_sent;
  uint64_t bytes_retrans;
  uint32_t dsack_dups;
  uint32_t reord_seen;
  // Linux 5.4
  uint32_t rcv_ooopack;
  uint32_t snd_wnd;
  // Linux 6.2
  uint32_t rcv_wnd;
  uint32_t rehash;
  // Linux 6.7
  uint16_t total_rto;
  uint16_t total_rto_recoveries;
  uint32_t total_rto_time;
  // Linux 6.18
  uint32_t received_ce;
  uint32_t delivered_e1_bytes;
  uint32_t delivered_e0_bytes;
  uint32_t delivered_ce_bytes;
  uint32_t received_e1_bytes;
  uint32_t received_e0_bytes;
  uint32_t received_ce_bytes;
  uint32_t accecn_word;  // its bits differ between kernels
};
static_assert(sizeof(TcpInfo) == 280, "the kernel leaves no gap between its members");

// Reads struct tcp_info into `out`. Returns the number of bytes that the kernel wrote, which is the
// size of its own struct or the capacity, or a negated errno. The rest of `out` is unchanged.
int GetTcpInfo(int fd, uint8_t* out, size_t capacity);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_TCP_INFO_H_
