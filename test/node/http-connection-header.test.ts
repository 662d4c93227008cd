/** Contract tests: the assumptions of lib/node/http-connection-header.ts about the responses of Node's http servers, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { announceKeepAlive, LastAnswer } from '../../lib/node/http-connection-header'
import { until } from '../helpers/until'
import { destroyLater, listen, loopback } from '../sockets'

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

interface Answered {
  /** The heads of the responses, as lists of lines. */
  heads: string[][]
  hasEnded: boolean
  client: net.Socket
}

/** Sends a request, and resolves when the head of a response has arrived. */
async function ask(serve: http.RequestListener): Promise<Answered> {
  const server = http.createServer(serve)
  const client = net.connect(await listen(server), loopback[4])
  destroyLater(client)
  let text = ''
  let hasEnded = false
  client.setEncoding('latin1').on('data', (part: string) => (text += part))
  client.on('end', () => (hasEnded = true))
  client.write(REQUEST)
  const heads = (): string[][] =>
    text
      .split('HTTP/1.1 ')
      .slice(1)
      .map((one) => one.slice(0, one.indexOf('\r\n\r\n')).split('\r\n'))
  await until(
    'the answer is there',
    () => text.split('\r\n\r\n').length - 1,
    (complete) => complete > 0 || hasEnded,
  )
  return { heads: heads(), hasEnded, client }
}

function connectionLines([head = []]: readonly string[][]): string[] {
  return head.filter((line) => /^connection:/i.test(line))
}

const forms: [string, (response: http.ServerResponse) => void][] = [
  ['no head', () => undefined],
  ['a status', (response) => response.writeHead(200)],
  ['a status and a reason', (response) => response.writeHead(200, 'Fine')],
  ['setHeader()', (response) => response.setHeader('connection', 'keep-alive')],
  [
    'removeHeader()',
    (response) => {
      response.removeHeader('Connection')
    },
  ],
  ['an object', (response) => response.writeHead(200, { Connection: 'keep-alive', 'X-A': '1' })],
  [
    'an object after setHeader()',
    (response) => response.setHeader('Connection', 'keep-alive').writeHead(200, { 'X-A': '1' }),
  ],
  [
    'a reason and an object',
    (response) => response.writeHead(200, 'Fine', { connection: 'keep-alive' }),
  ],
  [
    'a flat array',
    (response) => response.writeHead(200, ['X-A', '1', 'connection', 'keep-alive', 'X-A', '2']),
  ],
  [
    'an array of pairs',
    (response) =>
      response.writeHead(200, [
        ['X-A', '1'],
        ['connection', 'keep-alive'],
      ] as unknown as http.OutgoingHttpHeader[]),
  ],
]

describe('the last response of a connection', () => {
  it.each(forms)(
    'has `Connection: close` exactly once, and closes, if its head is made by %s',
    async (_, head) => {
      const { heads, client } = await ask((_request, response) => {
        new LastAnswer(response)
        head(response)
        response.end('the body')
      })
      expect(connectionLines(heads).map((line) => line.toLowerCase())).toEqual([
        'connection: close',
      ])
      await until(
        'the client sees the end',
        () => client.readableEnded,
        (hasEnded) => hasEnded,
      )
    },
  )

  it('keeps the other headers, including duplicates', async () => {
    const { heads } = await ask((_request, response) => {
      new LastAnswer(response)
      response.writeHead(200, 'Fine', ['X-A', '1', 'Connection', 'keep-alive', 'X-A', '2'])
      response.end('the body')
    })
    expect(heads[0]).toEqual(expect.arrayContaining(['200 Fine', 'X-A: 1', 'X-A: 2']))
  })

  it('works with a writeHead() that another package replaces before or after', async () => {
    const seen: string[] = []
    const { heads } = await ask((_request, response) => {
      for (const name of ['before', 'after']) {
        const own = response.writeHead.bind(response) as (...args: unknown[]) => http.ServerResponse
        response.writeHead = (...args: unknown[]) => {
          seen.push(name)
          return own(...args)
        }
        if (name === 'before') new LastAnswer(response)
      }
      response.end('the body')
    })
    expect(seen).toEqual(['after', 'before'])
    expect(connectionLines(heads)).toEqual(['Connection: close'])
  })

  it('is not changed if its status is 101', async () => {
    const { heads } = await ask((_request, response) => {
      new LastAnswer(response)
      response.writeHead(101, { Connection: 'Upgrade', Upgrade: 'chat' })
      response.end()
    })
    expect(connectionLines(heads)).toEqual(['Connection: Upgrade'])
  })

  it('can be made an ordinary one before its head is sent', async () => {
    const { heads, hasEnded } = await ask((_request, response) => {
      expect(new LastAnswer(response).takeBack()).toBe(true)
      response.end('the body')
    })
    expect(connectionLines(heads)).toEqual(['Connection: keep-alive'])
    expect(hasEnded).toBe(false)
  })

  it('cannot be made an ordinary one after its head is sent', async () => {
    const taken: boolean[] = []
    const { heads } = await ask((_request, response) => {
      const last = new LastAnswer(response)
      response.end('the body')
      taken.push(last.takeBack())
    })
    expect(taken).toEqual([false])
    expect(connectionLines(heads)).toEqual(['Connection: close'])
  })

  it("throws Node's own error if the head is written twice", async () => {
    const codes: unknown[] = []
    await ask((_request, response) => {
      new LastAnswer(response)
      response.writeHead(200)
      try {
        response.writeHead(200, { 'X-A': '1' })
      } catch (error) {
        codes.push((error as NodeJS.ErrnoException).code)
      }
      response.end('the body')
    })
    expect(codes).toEqual(['ERR_HTTP_HEADERS_SENT'])
  })
})

describe('http.ServerResponse#_keepAliveTimeout', () => {
  it('determines the Keep-Alive header, in whole seconds', async () => {
    const { heads } = await ask((_request, response) => {
      announceKeepAlive(response, 2_900)
      response.end('the body')
    })
    expect(heads[0]).toContain('Keep-Alive: timeout=2')
  })

  it('is the keepAliveTimeout of the server unless it is changed', async () => {
    const seen: unknown[] = []
    await ask((_request, response) => {
      seen.push((response as { _keepAliveTimeout?: number })._keepAliveTimeout)
      response.end('the body')
    })
    expect(seen).toEqual([http.createServer().keepAliveTimeout])
  })
})

describe('http.ServerResponse#shouldKeepAlive', () => {
  it.each([
    ['keep-alive', true],
    ['close', false],
  ])("is known in 'request': Connection: %s", async (connection, expected) => {
    const server = http.createServer()
    const port = await listen(server)
    const requested = once(server, 'request') as Promise<[unknown, http.ServerResponse]>
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    client.write(REQUEST.replace('Host', `Connection: ${connection}\r\nHost`))
    const [, response] = await requested
    expect(response.shouldKeepAlive).toBe(expected)
    response.end()
  })
})
