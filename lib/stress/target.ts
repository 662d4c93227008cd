/** The target of a run: a URL, or a host and a port for raw TCP. */
import { isIP, isIPv6 } from 'node:net'
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { custom } from '../spec'
import type { StressProtocol } from './result'

/** A target that was checked. Its host is not looked up yet. */
export interface StressTarget {
  readonly url: string
  readonly protocol: StressProtocol
  readonly host: string
  readonly port: number
  /** The value of the header Host. It has no zone, which means nothing to another host (RFC 6874 section 4). */
  readonly authority: string
  /** The path and the query of a request. */
  readonly path: string
}

const TAKES = 'http://…, https://…, tcp://host:port, tls://host:port, or host:port'

const protocols: Readonly<Record<string, { name: StressProtocol; port: number | undefined }>> = {
  'http:': { name: 'http', port: 80 },
  'https:': { name: 'https', port: 443 },
  'tcp:': { name: 'tcp', port: undefined },
  'tls:': { name: 'tls', port: undefined },
}

export const stressTarget = custom<string, StressTarget>(TAKES, (argument, value) => {
  if (typeof value !== 'string') throw new ArgumentTypeError(argument, 'of type string', value)
  const refuse = (reason: string): never => {
    throw new ArgumentValueError(argument, reason, value)
  }
  const { text, zone } = withoutZone(value)
  const url = URL.canParse(text) ? new URL(text) : refuse(`must be ${TAKES}${hintFor(value)}`)
  const protocol = protocols[url.protocol] ?? refuse(`must be ${TAKES}`)
  if (url.username !== '' || url.password !== '')
    refuse('cannot have a user name; pass the header Authorization')
  const port = url.port === '' ? protocol.port : Number(url.port)
  // A URL of an unknown scheme may have neither.
  if (url.hostname === '' || port === undefined || port === 0)
    return refuse('must name a host and a port from 1 to 65535')
  const isRaw = protocol.name === 'tcp' || protocol.name === 'tls'
  if (isRaw && (!['', '/'].includes(url.pathname) || url.search !== ''))
    refuse('cannot have a path: raw TCP has none')
  const host = `${url.hostname.replace(/^\[(.*)\]$/, '$1')}${zone === undefined ? '' : `%${zone}`}`
  if (zone !== undefined && !isIPv6(host)) refuse('must name an interface after the %')
  if (isRaw && isIP(host) === 0 && /[\s/?#@%]/.test(decodeURIComponent(host)))
    refuse('must name a host')
  return {
    url: value,
    protocol: protocol.name,
    host,
    port,
    authority: url.host,
    path: url.pathname === '' ? '/' : url.pathname + url.search,
  }
})

function hintFor(value: string): string {
  const isBare = !value.includes('[') && value.replace(/^\w+:\/\//, '').split(':').length > 2
  return isBare ? '; write an IPv6 address in brackets: [::1]:80' : ''
}

/**
 * Returns the text of a URL, and the zone of its address, which the URL standard does not know: `[fe80::1%eth0]:80`, and
 * in a URL `http://[fe80::1%25eth0]/` (RFC 6874), or with the bare % that people write.
 */
function withoutZone(value: string): { text: string; zone: string | undefined } {
  const [, scheme = '', before = '', zone, after = ''] =
    /^([a-z][a-z0-9+.-]*:\/\/)?(\[[^\]%]*)%([^\]]*)(.*)$/is.exec(value) ?? []
  if (zone === undefined)
    return { text: /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `tcp://${value}`, zone }
  const isUrl = scheme !== ''
  return {
    text: `${isUrl ? scheme : 'tcp://'}${before}${after}`,
    zone: isUrl ? zone.replace(/^25/, '') : zone,
  }
}
