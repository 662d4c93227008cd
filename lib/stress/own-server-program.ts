/** Answers each request with a short text until its parent is gone. */
import { once } from 'node:events'
import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import { endWithParent, sendToParent } from '../demo/parent'

const ANSWER = Buffer.from('Hello from socket-tuner\n')
const BACKLOG = 4_096

async function listen(): Promise<number> {
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': ANSWER.length })
    response.end(ANSWER)
  })
  server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function serve(count: number): Promise<void> {
  sendToParent({ ports: await Promise.all(Array.from({ length: count }, listen)) })
}

endWithParent(() => process.exit())
void serve(Number(process.argv[2] ?? '1'))
