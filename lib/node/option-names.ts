/**
 * The names of the options of Node's own functions in all supported releases, so that none of them is mistaken for a
 * misspelled option of this library.
 */

const stream = [
  'allowHalfOpen',
  'autoDestroy',
  'decodeStrings',
  'defaultEncoding',
  'emitClose',
  'encoding',
  'highWaterMark',
  'objectMode',
  'readable',
  'readableHighWaterMark',
  'readableObjectMode',
  'signal',
  'writable',
  'writableHighWaterMark',
  'writableObjectMode',
]

/** Options of new net.Socket(). */
export const netSocketNames: readonly string[] = [
  ...stream,
  'blockList',
  'fd',
  'handle',
  'keepAlive',
  'keepAliveInitialDelay',
  'manualStart',
  'noDelay',
  'onread',
  'pauseOnCreate',
  'typeOfService',
]

/** Options of connect() of a net.Socket. */
export const socketConnectNames: readonly string[] = [
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'family',
  'hints',
  'host',
  'localAddress',
  'localPort',
  'lookup',
  'path',
  'port',
]

/** Options of net.connect(). */
export const netConnectNames: readonly string[] = [
  ...netSocketNames,
  ...socketConnectNames,
  'timeout',
]

/** Options of tls.connect() and tls.createSecureContext(), besides those of net.connect(). */
export const tlsNames: readonly string[] = [
  'ALPNProtocols',
  'allowPartialTrustChain',
  'ca',
  'cert',
  'certificateCompression',
  'checkServerIdentity',
  'ciphers',
  'clientCertEngine',
  'crl',
  'dhparam',
  'ecdhCurve',
  'enableTrace',
  'honorCipherOrder',
  'isServer',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'rejectUnauthorized',
  'requestCert',
  'requestOCSP',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'server',
  'servername',
  'session',
  'sessionIdContext',
  'sessionTimeout',
  'sigalgs',
  'socket',
  'ticketKeys',
]

/** Options of new http.Agent() and new https.Agent(), which pass on all others to their connections. */
export const agentNames: readonly string[] = [
  ...netConnectNames,
  ...tlsNames,
  'agentKeepAliveTimeoutBuffer',
  'defaultPort',
  'keepAliveMsecs',
  'maxCachedSessions',
  'maxFreeSockets',
  'maxSockets',
  'maxTotalSockets',
  'protocol',
  'proxyEnv',
  'scheduling',
  'socketPath',
]
