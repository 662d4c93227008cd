import { ipOptions } from './catalogue/ip'
import { ipv6Options } from './catalogue/ipv6'
import { socketOptions } from './catalogue/socket'
import { tcpOptions } from './catalogue/tcp'
import { mptcpOptions } from './catalogue/mptcp'
import { tlsOptions } from './catalogue/tls'
import { udpOptions } from './catalogue/udp'

/**
 * Every option that this library knows, by its kernel name.
 *
 * To add an option, add its number to native/kernel/constants.cc and its row to the table of its level in
 * catalogue/. Nothing else has to change: types, validation, warnings, documentation and tests derive from
 * the row.
 */
export const catalogue = {
  ...socketOptions,
  ...tcpOptions,
  ...ipOptions,
  ...ipv6Options,
  ...udpOptions,
  ...mptcpOptions,
  ...tlsOptions,
} as const
