/** Requests through the agents, to scripted servers; both are closed after each test. */
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

/** The agent, destroyed when the test is over. */
export function use<A extends http.Agent>(agent: A): A {
  closeLater(() => {
    agent.destroy()
  })
  return agent
}

/** Keeps connections apart that http.Agent has under one name. */
export class DividedAgent extends TunedAgent {
  division = 'a'

  override getName(options?: http.ClientRequestArgs): string {
    return `${super.getName(options)}/${this.division}`
  }
}

export interface Answer {
  body: string
  request: http.ClientRequest
  /** What the request emitted, in order. */
  events: string[]
  /** The socket that the answer came on. */
  socket: net.Socket
}

export type Question = https.RequestOptions & { body?: string | readonly (string | Buffer)[] }

/** Makes a request and waits for its answer. */
export function ask(
  server: Pick<ScriptedServer, 'port'>,
  agent: http.Agent,
  question: Question = {},
): Promise<Answer> {
  return begin(server, agent, question).answer
}

/** The same in its parts. */
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
        // When the agent has its connection back.
        request.once('close', () => {
          setImmediate(resolve, { body: text, request, events, socket })
        })
      })
    })
  })
  // A test looks at it later.
  answer.catch(() => undefined)
  if (Array.isArray(body)) for (const chunk of body as (string | Buffer)[]) request.write(chunk)
  request.end(typeof body === 'string' ? body : undefined)
  return { request, events, answer }
}

/**
 * Does something at the server's end of an idle connection and returns when the client's kernel has it, but
 * before its event loop has seen anything: a busy processor may deliver a segment after close(2) returned.
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

/** How many connections an agent has. */
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

export const nothing = { busy: 0, idle: 0, waiting: 0, total: 0 }

/** Destroys an agent and waits until nothing is left of it. */
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
