/** Requests through agents to scripted servers. Both are closed after each test. */
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import { TunedAgent } from '../../lib/clients/http'
import type { Certificate } from '../helpers/certificate'
import { answer, ScriptedServer, type Script } from '../helpers/scripted-server'
import { readTable, stateOf, unreadAt } from '../helpers/tcp-table'
import { until } from '../helpers/until'
import { closeLater, DELIVERED_WITHIN_MS } from '../sockets'

export async function serve(
  script: Script = (socket) => {
    answer(socket)
  },
  certificate?: Certificate,
  where?: net.ListenOptions,
): Promise<ScriptedServer> {
  const server = await new ScriptedServer(script, certificate).listen(where)
  closeLater(() => {
    server.close()
  })
  return server
}

/** Returns the agent, which is destroyed when the test is over. */
export function use<A extends http.Agent>(agent: A): A {
  closeLater(() => {
    agent.destroy()
  })
  return agent
}

/** A subclass that gives different names to connections that http.Agent does not distinguish. */
export class DividedAgent extends TunedAgent {
  division = 'a'

  override getName(options?: http.ClientRequestArgs): string {
    return `${super.getName(options)}/${this.division}`
  }
}

export interface Answer {
  body: string
  request: http.ClientRequest
  /** The events of the request, in order. */
  events: string[]
  /** The socket of the response. */
  socket: net.Socket
}

export type Question = https.RequestOptions & { body?: string | readonly (string | Buffer)[] }

/** Resolves when the last event is 'close'. */
export async function untilClosed(events: readonly string[]): Promise<void> {
  await until(
    'it is closed',
    () => events.at(-1),
    (event) => event === 'close',
  )
}

/** Makes a request, and resolves with the response. */
export function ask(
  server: Pick<ScriptedServer, 'port'>,
  agent: http.Agent,
  question: Question = {},
): Promise<Answer> {
  return begin(server, agent, question).answer
}

/** Makes a request, and returns it together with a promise of the response. */
export function begin(
  { port }: Pick<ScriptedServer, 'port'>,
  agent: http.Agent,
  { body, ...options }: Question = {},
): { request: http.ClientRequest; events: string[]; answer: Promise<Answer> } {
  const all = { host: '127.0.0.1', port, agent, ...options }
  const request = agent instanceof https.Agent ? https.request(all) : http.request(all)
  const events: string[] = []
  for (const event of ['socket', 'finish', 'response', 'timeout', 'error', 'abort', 'close']) {
    request.on(event, () => events.push(event))
  }
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      const { socket } = response
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => {
        // By then the connection has returned to the agent.
        request.once('close', () => {
          setImmediate(resolve, { body: text, request, events, socket })
        })
      })
    })
  })
  // A test may handle the rejection later.
  answer.catch(() => undefined)
  if (Array.isArray(body)) for (const chunk of body as (string | Buffer)[]) request.write(chunk)
  request.end(typeof body === 'string' ? body : undefined)
  return { request, events, answer }
}

/**
 * Acts on the server's end of an idle connection, and returns when the client's kernel knows of it, but
 * before its event loop does. A busy processor may deliver a segment after close(2) has returned.
 */
export function unnoticed(
  server: ScriptedServer,
  act: (socket: net.Socket) => unknown = (socket) => socket.destroy(),
  sockets: readonly (net.Socket | undefined)[] = server.sockets.slice(0, 1),
): void {
  for (const socket of sockets) {
    const { localPort: remotePort = 0, remotePort: localPort = 0 } = socket ?? {}
    const end = { localPort, remotePort }
    if (socket === undefined || stateOf(readTable(), end) !== 'ESTABLISHED') {
      throw new Error('the connection is not open')
    }
    act(socket)
    const began = performance.now()
    while (stateOf(readTable(), end) === 'ESTABLISHED' && unreadAt(readTable(), end) === 0) {
      if (performance.now() - began > DELIVERED_WITHIN_MS) throw new Error('nothing has come')
    }
  }
}

/** Counts the connections and waiting requests of an agent. */
export function held(agent: http.Agent): {
  busy: number
  idle: number
  waiting: number
  total: number
} {
  const count = (lists: NodeJS.ReadOnlyDict<unknown[]>): number =>
    Object.values(lists).flatMap((list) => list ?? []).length
  const { totalSocketCount } = agent as unknown as { totalSocketCount: number }
  return {
    busy: count(agent.sockets),
    idle: count(agent.freeSockets),
    waiting: count(agent.requests),
    total: totalSocketCount,
  }
}

/** The counters of a client without `minIdle`. */
export const noneWarmed = { warmed: 0, warmedUsed: 0, warmedLost: 0, warmFailed: 0 }

export const nothing = { busy: 0, idle: 0, waiting: 0, total: 0 }

/** Destroys the agent, and waits until all its connections are closed. */
export async function expectNothingLeft(agent: http.Agent, server: ScriptedServer): Promise<void> {
  agent.destroy()
  await until(
    'all is closed',
    () => held(agent),
    ({ total }) => total === 0,
  )
  expect(held(agent)).toEqual(nothing)
  expect({ ...agent.sockets, ...agent.freeSockets, ...agent.requests }).toEqual({})
  await until(
    'the server has closed',
    () => server.open,
    (open) => open === 0,
  )
}
