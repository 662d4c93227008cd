/** An http server, an agent that keeps one connection, and requests over it, for the contract tests of node/. */
import { once } from 'node:events'
import * as http from 'node:http'
import type * as net from 'node:net'
import { closeLater, listen, loopback } from '../sockets'

export async function serve(
  answer: http.RequestListener = (request, response) => {
    request.resume().on('end', () => response.end('answer'))
  },
): Promise<{ server: http.Server; port: number }> {
  const server = http.createServer({ keepAliveTimeout: 600_000 }, answer)
  closeLater(() => {
    server.closeAllConnections()
  })
  return { server, port: await listen(server) }
}

export function keepAliveAgent(): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  closeLater(() => {
    agent.destroy()
  })
  return agent
}

/** Sends a GET request, and resolves with the response after reading it. */
export function get(
  port: number,
  agent: http.Agent,
): [http.ClientRequest, Promise<http.IncomingMessage>] {
  const request = http.get({ host: loopback[4], port, agent })
  const answer = once(request, 'response').then(async ([response]) => {
    const message = response as http.IncomingMessage
    await once(message.resume(), 'end')
    return message
  })
  return [request, answer]
}

/** Makes a request, and returns its connection, which the agent keeps. */
export async function keptConnection(port: number, agent: http.Agent): Promise<net.Socket> {
  const [request, answer] = get(port, agent)
  const [socket] = (await once(request, 'socket')) as [net.Socket]
  const freed = once(agent, 'free')
  await Promise.all([answer, freed])
  return socket
}
