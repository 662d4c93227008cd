import type { OptionTable } from '../row'

/** SOL_TLS options: TLS in the kernel, which this library does not offer, in the order of their kernel names. */
export const tlsOptions = {
  TLS_RX: {
    level: 'SOL_TLS',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Passes the kernel the keys to decrypt received data.',
    since: '4.17',
    because: 'OpenSSL holds the keys and the state of a connection, and Node does not expose them.',
    source: 'linux/tls.h',
  },
  TLS_RX_EXPECT_NO_PAD: {
    level: 'SOL_TLS',
    kind: 'int',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Promises the kernel that TLS 1.3 records have no padding.',
    since: '6.0',
    because: 'OpenSSL holds the keys and the state of a connection, and Node does not expose them.',
    source: 'linux/tls.h',
  },
  TLS_TX: {
    level: 'SOL_TLS',
    kind: 'bytes',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Passes the kernel the keys to encrypt sent data.',
    since: '4.13',
    because: 'OpenSSL holds the keys and the state of a connection, and Node does not expose them.',
    source: 'linux/tls.h',
  },
  TLS_TX_ZEROCOPY_RO: {
    level: 'SOL_TLS',
    kind: 'int',
    access: 'none',
    when: 'any',
    inherited: null,
    summary: 'Makes a network card encrypt directly from the page cache, without a copy.',
    since: '5.19',
    because: 'OpenSSL holds the keys and the state of a connection, and Node does not expose them.',
    source: 'linux/tls.h',
  },
} as const satisfies OptionTable
