/**
 * Compiled only, by `tsc -p test`: calls to this library that must or must not compile. A line below
 * `@ts-expect-error` that compiles is an error, and so is a type that differs from the expected one.
 */
import type * as dgram from 'node:dgram'
import type * as http from 'node:http'
import type * as http2 from 'node:http2'
import type * as https from 'node:https'
import type * as net from 'node:net'
import type * as tls from 'node:tls'
import {
  RawSocket,
  type SocketTunerError,
  type ErrorCode,
  closeSocket,
  configure,
  describeOption,
  explainConnection,
  getOption,
  optionNames,
  profiles,
  queueSizes,
  setOption,
  tcpInfo,
  tune,
  tuneServer,
  type BpfInstruction,
  type CloseReport,
  type Credentials,
  type Explanation,
  type Linger,
  type LingerInput,
  type Md5Key,
  type MemoryInfo,
  type OptionInfo,
  type OptionInput,
  type OptionName,
  type OptionOutcome,
  type OptionValue,
  type PortRange,
  type QueueSizes,
  type ReadableOption,
  type ReceivingLimit,
  type RetirementReason,
  type SendingLimit,
  type SendingShares,
  type Settings,
  type ShutdownReport,
  type SocketAddress,
  type Target,
  type TcpInfo,
  type TransmitTime,
  type TuneReport,
  type WritableOption,
} from '../../lib'
import type { catalogue } from '../../lib/options/catalogue'
import type { kinds } from '../../lib/options/kinds'

type IsAny<T> = 0 extends 1 & T ? true : false
/** Whether two types are assignable to each other; `any` equals only itself. */
type Equal<A, B> = [IsAny<A>, A, B] extends [IsAny<B>, B, A] ? true : false

/** Compiles only if `A` is exactly `B`. */
declare function same<A, B>(..._: Equal<A, B> extends true ? [] : [never]): void

/** Compiles only if the value has exactly the type `Expected`. */
declare function exactly<Expected>(): <Actual>(
  value: Actual,
  ..._: Equal<Actual, Expected> extends true ? [] : [never]
) => void

declare const socket: net.Socket

// The helper itself tells `any` from every other type.
same<string, string>()
// @ts-expect-error -- not the same
same<string, number>()
// @ts-expect-error -- any is not unknown
same<unknown, ReturnType<typeof JSON.parse>>()
// @ts-expect-error -- any is not a string
same<string, ReturnType<typeof JSON.parse>>()

export function targets(
  server: net.Server,
  web: http.Server | https.Server,
  secure: tls.TLSSocket | tls.Server,
  session: http2.ClientHttp2Session | http2.ServerHttp2Session,
  datagram: dgram.Socket,
  owner: { readonly fd: number },
): void {
  const all: Target[] = [1, socket, server, web, secure, session, datagram, owner]
  for (const target of all) getOption(target, 'SO_TYPE')
  // @ts-expect-error -- a string is no target
  getOption('1', 'SO_TYPE')
  // @ts-expect-error -- neither is a bigint
  getOption(1n, 'SO_TYPE')
  // @ts-expect-error -- nor null
  getOption(null, 'SO_TYPE')
  // @ts-expect-error -- nor an object without a descriptor
  getOption({}, 'SO_TYPE')
  // @ts-expect-error -- nor one whose descriptor is no number
  getOption({ fd: '1' }, 'SO_TYPE')
}

export function reading(anyName: string): void {
  exactly<boolean>()(getOption(socket, 'SO_KEEPALIVE'))
  exactly<Linger>()(getOption(socket, 'SO_LINGER'))
  exactly<bigint>()(getOption(socket, 'SO_COOKIE'))
  exactly<string>()(getOption(socket, 'TCP_CONGESTION'))
  exactly<PortRange>()(getOption(socket, 'IP_LOCAL_PORT_RANGE'))

  same<OptionValue<'TCP_KEEPIDLE'>, number>()
  same<OptionValue<'TCP_NOTSENT_LOWAT'>, number>()
  same<OptionValue<'SO_RCVTIMEO'>, number>()
  same<OptionValue<'IP_UNICAST_IF'>, number>()
  same<OptionValue<'SO_MAX_PACING_RATE'>, bigint>()
  same<OptionValue<'IP_OPTIONS'>, Uint8Array>()
  same<OptionValue<'SO_PEERCRED'>, Credentials>()
  same<OptionValue<'SO_MEMINFO'>, MemoryInfo>()
  same<OptionValue<'SO_TXTIME'>, TransmitTime>()
  same<OptionValue<'SO_ORIGINAL_DST'>, SocketAddress>()
  same<OptionValue<'SO_KEEPALIVE' | 'TCP_KEEPIDLE'>, boolean | number>()

  // @ts-expect-error -- no such option
  getOption(socket, 'SO_NONE')
  // @ts-expect-error -- any string will not do
  getOption(socket, anyName)
  // @ts-expect-error -- it cannot be read
  getOption(socket, 'SO_ATTACH_FILTER')
  // @ts-expect-error -- it is a secret
  getOption(socket, 'TCP_MD5SIG')
  // @ts-expect-error -- it is a secret
  getOption(socket, 'TCP_FASTOPEN_KEY')
  // @ts-expect-error -- it is not offered
  getOption(socket, 'TCP_INFO')
  // @ts-expect-error -- a name is missing
  getOption(socket)
}

export function setting(filter: readonly BpfInstruction[], key: Md5Key): void {
  setOption(socket, 'TCP_NODELAY', true)
  setOption(socket, 'TCP_KEEPIDLE', 30)
  setOption(socket, 'TCP_CONGESTION', 'reno')
  setOption(socket, 'SO_MAX_PACING_RATE', 1n)
  setOption(socket, 'SO_LINGER', { enabled: true, seconds: 0 })
  setOption(socket, 'SO_LINGER', { enabled: true, seconds: 1, blocking: true })
  setOption(socket, 'IP_LOCAL_PORT_RANGE', { min: 1, max: 2 })
  setOption(socket, 'IP_OPTIONS', Buffer.alloc(4))
  setOption(socket, 'SO_ATTACH_FILTER', filter)
  setOption(socket, 'TCP_MD5SIG', key)

  same<OptionInput<'TCP_NODELAY'>, boolean>()
  same<OptionInput<'SO_LINGER'>, LingerInput>()
  same<OptionInput<'TCP_MD5SIG'>, Md5Key>()
  same<OptionInput<'SO_ATTACH_FILTER'>, readonly BpfInstruction[]>()

  // @ts-expect-error -- a string is no boolean
  setOption(socket, 'TCP_NODELAY', 'yes')
  // @ts-expect-error -- neither is a number
  setOption(socket, 'TCP_NODELAY', 1)
  // @ts-expect-error -- undefined is no value
  setOption(socket, 'TCP_NODELAY', undefined)
  // @ts-expect-error -- a value is missing
  setOption(socket, 'TCP_NODELAY')
  // @ts-expect-error -- a number is no bigint
  setOption(socket, 'SO_MAX_PACING_RATE', 1)
  // @ts-expect-error -- a bigint is no number
  setOption(socket, 'TCP_KEEPIDLE', 30n)
  // @ts-expect-error -- the seconds are missing
  setOption(socket, 'SO_LINGER', { enabled: true })
  // @ts-expect-error -- linger has no such field
  setOption(socket, 'SO_LINGER', { enabled: true, seconds: 0, timeout: 1 })
  // @ts-expect-error -- a number is no linger
  setOption(socket, 'SO_LINGER', 0)
  // @ts-expect-error -- a key is bytes
  setOption(socket, 'TCP_MD5SIG', { address: '127.0.0.1', key: 'secret' })
  // @ts-expect-error -- an instruction has four fields
  setOption(socket, 'SO_ATTACH_FILTER', [{ code: 6, k: 0 }])
  // @ts-expect-error -- no such option
  setOption(socket, 'TCP_NO_DELAY', true)
  // @ts-expect-error -- it is only read
  setOption(socket, 'SO_ERROR', 0)
  // @ts-expect-error -- it is only read
  setOption(socket, 'SO_TYPE', 1)
  // @ts-expect-error -- it is not offered
  setOption(socket, 'IP_NODEFRAG', true)
}

export function tuning(settings: Settings): void {
  const report = tune(socket, { TCP_NODELAY: true, SO_RCVBUF: 65_536 })
  same<keyof typeof report, 'TCP_NODELAY' | 'SO_RCVBUF'>()
  same<(typeof report)['TCP_NODELAY'], OptionOutcome<'TCP_NODELAY'>>()
  // @ts-expect-error -- it was not set
  exactly<never>()(report.TCP_CORK)
  // @ts-expect-error -- the report is read only
  report.TCP_NODELAY = { status: 'applied', value: true }

  const outcome = report.SO_RCVBUF
  same<
    (typeof outcome)['status'],
    'applied' | 'adjusted' | 'tooLate' | 'noEffect' | 'unsupported'
  >()
  if (outcome.status === 'adjusted') {
    same<typeof outcome.requested, number>()
    same<typeof outcome.value, number>()
    same<typeof outcome.why, string>()
  }
  if (outcome.status === 'applied') same<typeof outcome.value, number | undefined>()
  if (outcome.status === 'tooLate') same<typeof outcome.value, number | undefined>()
  if (outcome.status === 'noEffect') same<typeof outcome.why, string>()
  // @ts-expect-error -- nothing was set
  if (outcome.status === 'unsupported') exactly<never>()(outcome.value)

  const secret = tune(socket, { TCP_MD5SIG: { address: '::1', key: new Uint8Array(1) } })
  if (secret.TCP_MD5SIG.status === 'applied') same<typeof secret.TCP_MD5SIG.value, undefined>()

  same<ReturnType<typeof tune<Settings>>, TuneReport>()
  tune(socket, settings)
  tune(socket, {})
  tune(socket, profiles.lowLatency)
  tune(socket, { ...profiles.deadPeerDetection, TCP_KEEPCNT: 3, TCP_CORK: undefined })
  const inferred = { TCP_NODELAY: true, TCP_KEEPIDLE: 30 }
  tune(socket, inferred)
  const statuses: Readonly<Record<string, { readonly status: string } | undefined>> = tune(
    socket,
    settings,
  )
  exactly<typeof statuses>()(statuses)

  // @ts-expect-error -- no such option
  tune(socket, { TCP_NO_DELAY: true })
  // @ts-expect-error -- no such option beside one that is
  tune(socket, { TCP_NODELAY: true, TCP_NO_DELAY: true })
  const misspelt = { TCP_NODELAY: true, TCP_NO_DELAY: true }
  // @ts-expect-error -- also where the type of the object was inferred
  tune(socket, misspelt)
  // @ts-expect-error -- a string is no boolean
  tune(socket, { TCP_NODELAY: 'yes' })
  // @ts-expect-error -- null is not undefined
  tune(socket, { TCP_NODELAY: null })
  const wrong = { TCP_KEEPIDLE: '30' }
  // @ts-expect-error -- also where the type of the object was inferred
  tune(socket, wrong)
  // @ts-expect-error -- it is only read
  tune(socket, { SO_TYPE: 1 })
  // @ts-expect-error -- it is not offered
  tune(socket, { IP_NODEFRAG: true })
  const allMisspelt = { TCP_NO_DELAY: true }
  // @ts-expect-error -- nothing of it is a setting
  tune(socket, allMisspelt)
  // @ts-expect-error -- an array is no settings
  tune(socket, [true])
  // @ts-expect-error -- neither is a number
  tune(socket, 5)
  // @ts-expect-error -- settings are missing
  tune(socket)
}

/** The types are generated from the rows. Each option has the type of its kind. */
type Catalogue = typeof catalogue
type Kinds = typeof kinds
type Reads<N extends keyof Catalogue> = ReturnType<Kinds[Catalogue[N]['kind']]['decode']>
type Takes<N extends keyof Catalogue> = Exclude<Kinds[Catalogue[N]['kind']]['takes'], undefined>
type NamesOf<Access> = {
  [N in keyof Catalogue]: Catalogue[N]['access'] extends Access ? N : never
}[keyof Catalogue]
same<OptionName, keyof Catalogue>()
same<ReadableOption, NamesOf<'r' | 'rw'>>()
same<WritableOption, NamesOf<'w' | 'rw'>>()
same<
  { readonly [N in ReadableOption]: OptionValue<N> },
  { readonly [N in ReadableOption]: Reads<N> }
>()
same<
  { readonly [N in WritableOption]: OptionInput<N> },
  { readonly [N in WritableOption]: Takes<N> }
>()

export function rawSocket(raw: RawSocket): void {
  raw.setOption('TCP_NODELAY', true)
  exactly<boolean>()(raw.getOption('TCP_NODELAY'))
  // @ts-expect-error -- a string is no boolean
  raw.setOption('TCP_NODELAY', 'yes')
  // @ts-expect-error -- it is only read
  raw.setOption('SO_TYPE', 1)
  // @ts-expect-error -- no such option
  RawSocket.open(4, { TCP_NO_DELAY: true })
  same<keyof ReturnType<typeof raw.tune<{ TCP_NODELAY: true }>>, 'TCP_NODELAY'>()
}

export function failing(error: SocketTunerError): void {
  same<typeof error.code, ErrorCode>()
  const codes: ErrorCode[] = ['ERR_SOCKET_TUNER_WRONG_SOCKET', 'EPERM', 'EADDRNOTAVAIL']
  codes.includes(error.code)
  // @ts-expect-error -- no such code
  if (error.code === 'ERR_SOCKET_TUNER_WRONG') throw error
}

export function naming(name: OptionName, readable: ReadableOption, writable: WritableOption): void {
  const info = describeOption(name)
  exactly<OptionInfo>()(info)
  same<typeof info.number, number | undefined>()
  same<(typeof optionNames)[number], OptionName>()
  // Every option that can be read or set is an option name.
  const both: OptionName[] = [readable, writable]
  exactly<OptionName[]>()(both)
  same<Extract<ReadableOption, 'TCP_MD5SIG' | 'TCP_INFO' | 'TCP_NODELAY'>, 'TCP_NODELAY'>()
  same<Extract<WritableOption, 'SO_TYPE' | 'TCP_INFO' | 'TCP_NODELAY'>, 'TCP_NODELAY'>()
  // @ts-expect-error -- no such option
  describeOption('SO_NONE')
  // @ts-expect-error -- the names cannot be changed
  optionNames[0] = 'TCP_NODELAY'
  // @ts-expect-error -- the description of an option cannot be changed
  info.summary = ''
}

/** The options whose value has the type `any`. */
type AnyIn<T> = { [K in keyof T]-?: 0 extends 1 & T[K] ? K : never }[keyof T]
same<AnyIn<{ [N in ReadableOption]: OptionValue<N> }>, never>()
same<AnyIn<{ [N in WritableOption]: OptionInput<N> }>, never>()
same<AnyIn<TcpInfo>, never>()
same<AnyIn<QueueSizes>, never>()
same<AnyIn<Explanation>, never>()
same<AnyIn<Explanation['sending']>, never>()
same<AnyIn<Explanation['network']>, never>()
same<AnyIn<OptionInfo>, Extract<keyof OptionInfo, never>>()
same<AnyIn<CloseReport>, never>()

export function observing(): void {
  const info = tcpInfo(socket)
  exactly<TcpInfo>()(info)
  same<typeof info.rtt, number | undefined>()
  same<typeof info.options.timestamps, boolean>()
  const sizes = queueSizes(socket)
  exactly<QueueSizes>()(sizes)
  same<typeof sizes.unsent, number | undefined>()
  const since = explainConnection(socket)
  exactly<Explanation>()(since)
  same<typeof since.sending.limitedBy, SendingLimit>()
  same<typeof since.sending.shares, SendingShares | undefined>()
  same<typeof since.receiving.limitedBy, ReceivingLimit>()
  explainConnection(socket, { since })
  // @ts-expect-error -- no such option
  explainConnection(socket, { sinse: since })
  // @ts-expect-error -- TCP_INFO is no explanation
  explainConnection(socket, { since: info })
}

export function closing(server: net.Server): void {
  exactly<Promise<CloseReport>>()(closeSocket(socket, 'deliver'))
  // @ts-expect-error -- no such mode
  void closeSocket(socket, 'gently')
  exactly<Partial<TuneReport<{ readonly TCP_NODELAY: true }>> | undefined>()(
    tuneServer(server, { settings: { TCP_NODELAY: true } }).report,
  )
  // @ts-expect-error -- no such option
  tuneServer(server, { settings: { TCP_NO_DELAY: true } })
  const tuning = tuneServer(server, { maxConnectionAgeMs: 300_000, maxRequests: 10_000 })
  exactly<Record<RetirementReason, number>>()(tuning.counters().retired)
  exactly<Promise<ShutdownReport>>()(tuning.shutdown({ overMs: 20_000, keepAccepting: false }))
  // @ts-expect-error -- a number
  tuneServer(server, { maxRequests: '5' })
  // @ts-expect-error -- no such option
  void tuning.shutdown({ over: 5 })
}

export function configuring(): void {
  configure({})
  configure({ hazards: 'throw' })
  // @ts-expect-error -- no such reaction
  configure({ hazards: 'panic' })
  // @ts-expect-error -- no such setting
  configure({ hazard: 'throw' })
}
