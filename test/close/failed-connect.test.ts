/** Sockets with a close mode whose connect() fails. Nothing was sent, and 'error' reports that. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { closeTotals, connect, setCloseMode } from '../../lib'
import { TunedAgent } from '../../lib/clients/http'
import { closeLater } from '../sockets'

const host = '127.0.0.1'
const failingLookup: net.LookupFunction = (_name, _options, callback) => {
  callback(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }), [])
}
const twoAddresses: net.LookupFunction = (_name, _options, callback) => {
  callback(
    null,
    ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 })),
  )
}

function byMode(options: net.NetConnectOpts): net.Socket {
  const socket = net.connect(options)
  setCloseMode(socket, 'deliver')
  return socket
}

/** Connections that fail, each with the code of its error. Nothing listens on port 1. */
const failures: Record<string, [code: string, open: () => net.Socket]> = {
  'the port is closed': ['ECONNREFUSED', () => byMode({ host, port: 1 })],
  'both addresses refuse': [
    'ECONNREFUSED',
    () => byMode({ host: 'some.test', port: 1, lookup: twoAddresses }),
  ],
  'there is no such host': [
    'ENOTFOUND',
    () => byMode({ host: 'some.test', port: 1, lookup: failingLookup }),
  ],
  'there is no such path': [
    'ENOENT',
    () => byMode({ path: path.join(tmpdir(), 'socket-tuner-no-such-socket') }),
  ],
  'connect() finds no such host': [
    'ENOTFOUND',
    () => connect({ host: 'some.test', port: 1, lookup: failingLookup, close: 'deliver' }),
  ],
  'its signal was aborted before': [
    'ABORT_ERR',
    () => byMode({ host, port: 1, signal: AbortSignal.abort() }),
  ],
}

/** Collects the library's warnings until the test is over. */
function watchWarnings(): unknown[] {
  const warnings: unknown[] = []
  const listener = (warning: unknown): void => {
    warnings.push(warning)
  }
  subscribe('socket-tuner:warning', listener)
  closeLater(() => {
    unsubscribe('socket-tuner:warning', listener)
  })
  return warnings
}

describe('a socket with a close mode and written data', () => {
  it.each(Object.entries(failures))(
    'neither warns about discarded bytes nor counts them if %s',
    async (_, [code, open]) => {
      const warnings = watchWarnings()
      const { discardedBytes } = closeTotals()
      const socket = open()
      socket.write('request')
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
      expect(error.code).toBe(code)
      if (!socket.closed) await once(socket, 'close')
      expect(closeTotals().discardedBytes).toBe(discardedBytes)
      expect(warnings).toEqual([])
    },
  )

  it('warns about discarded bytes and counts them if the program destroys it while it connects', async () => {
    const warnings = watchWarnings()
    const { discardedBytes } = closeTotals()
    const socket = byMode({ host: 'some.test', port: 1, lookup: () => undefined })
    socket.write('request')
    await once(socket.destroy(), 'close')
    expect(closeTotals().discardedBytes).toBe(discardedBytes + 7)
    expect(warnings).toMatchObject([{ code: 'SOCKET_TUNER_DESTROY_DISCARDS' }])
  })
})

it('a request of TunedAgent to a host that does not exist emits no warning', async () => {
  const warnings = watchWarnings()
  const agent = new TunedAgent()
  closeLater(() => {
    agent.destroy()
  })
  const request = http.get({ host: 'some.test', port: 1, lookup: failingLookup, agent })
  await expect(once(request, 'response')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  if (!request.closed) await once(request, 'close')
  expect(warnings).toEqual([])
})
