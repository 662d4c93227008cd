/** The destination of `agent.warm()`. */
import type * as http from 'node:http'
import type * as https from 'node:https'
import { isIP } from 'node:net'
import { urlToHttpOptions } from 'node:url'
import { ArgumentTypeError, ArgumentValueError, isObject } from '../../errors'
import { agentPartsOf } from '../../node/http-agent'

/** A URL, or the options of http.request() and https.request() that decide where it connects to. */
export type WarmDestination = string | URL | https.RequestOptions

/**
 * Returns the options that a request to the destination passes to the agent.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_INVALID_URL
 */
export function destinationOf(agent: http.Agent, given: WarmDestination): https.RequestOptions {
  const { protocol, defaultPort, options } = agentPartsOf(agent)
  const asked = fromUrl(given)
  if ((asked.protocol ?? protocol) !== protocol)
    throw new ArgumentValueError('destination.protocol', `must be '${protocol}'`, asked.protocol)
  const host = (asked.hostname ?? '') || (asked.host ?? '') || 'localhost'
  // As for a request: the options of the agent take precedence.
  const all = { ...asked, host, port: asked.port ?? defaultPort, ...options }
  const servername = protocol === 'https:' && isIP(host) === 0 ? host : ''
  const path = all.socketPath ?? null
  return { ...all, path, servername: all.servername ?? servername }
}

function fromUrl(given: unknown): https.RequestOptions {
  if (typeof given === 'string') return urlToHttpOptions(new URL(given))
  if (given instanceof URL) return urlToHttpOptions(given)
  if (!isObject(given))
    throw new ArgumentTypeError('destination', 'a string, a URL or of type object', given)
  return given
}
