import { once } from 'node:events'
import * as net from 'node:net'
import { Connector, SourcePool, connect, type Source } from '../../lib'
import { source, sourcesByFamily } from '../../lib/connect/source'
import { coded } from '../helpers/coded'
import { destroyLater, listen } from '../sockets'

function checked(value: unknown): string | SourcePool | undefined {
  return source.check('options.source', value)
}

describe('a source', () => {
  it('is the given address or the given pool', () => {
    const pool = new SourcePool(['127.0.0.2'])
    expect(checked('127.0.0.2')).toBe('127.0.0.2')
    expect(checked('fe80::1%lo')).toBe('fe80::1%lo')
    expect(checked(pool)).toBe(pool)
  })

  it('is the address itself if a list has one address', () => {
    expect(checked(['127.0.0.2'])).toBe('127.0.0.2')
  })

  it('is the same pool for all callers with the same addresses', () => {
    const pool = checked(['127.0.0.2', '127.0.0.3'])
    expect(pool).toBeInstanceOf(SourcePool)
    expect((pool as SourcePool).addresses).toEqual(['127.0.0.2', '127.0.0.3'])
    expect(checked(['127.0.0.2', '127.0.0.3'])).toBe(pool)
    expect(checked(['127.0.0.2', '127.0.0.4'])).not.toBe(pool)
  })

  it("does not change with the caller's array", () => {
    const given = ['127.0.0.2', '127.0.0.3']
    const pool = checked(given) as SourcePool
    given.push('127.0.0.4')
    expect(pool.addresses).toEqual(['127.0.0.2', '127.0.0.3'])
    expect((checked(given) as SourcePool).addresses).toHaveLength(3)
  })

  it('is kept while it is in use, and dropped after too many others were used', () => {
    const used = ['127.0.1.1', '127.0.1.2']
    const pool = checked(used)
    const forgotten = checked(['127.0.1.3', '127.0.1.4'])
    for (let i = 0; i < 200; i++) {
      checked([`127.1.${String(i)}.1`, `127.1.${String(i)}.2`])
      expect(checked(used)).toBe(pool)
    }
    expect(checked(['127.0.1.3', '127.0.1.4'])).not.toBe(forgotten)
  })

  it.each<[string, unknown, string, string]>([
    [
      'an empty list',
      [],
      'ERR_INVALID_ARG_VALUE',
      "'options.source' must have at least one address",
    ],
    ['a number', 7, 'ERR_INVALID_ARG_TYPE', 'an array of them, or an instance of SourcePool'],
    ['null', null, 'ERR_INVALID_ARG_TYPE', '"options.source" property must be an IP address'],
    ['a host name', 'localhost', 'ERR_INVALID_ARG_VALUE', "'options.source' must be an IP address"],
    [
      'a list with a host name',
      ['127.0.0.2', 'localhost'],
      'ERR_INVALID_ARG_VALUE',
      "'options.source[1]' must be an IP address",
    ],
    ['a list with a number', [7], 'ERR_INVALID_ARG_TYPE', '"options.source[0]" property must be'],
    [
      'a list with a hole',
      Array(2),
      'ERR_INVALID_ARG_TYPE',
      '"options.source[0]" property must be',
    ],
    [
      'a list with an address twice',
      ['::1', '::2', '0:0::1'],
      'ERR_INVALID_ARG_VALUE',
      "'options.source[2]' must not be the same address as options.source[0]",
    ],
    [
      'a list with both families',
      ['127.0.0.2', '::1'],
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
      'options.source[1] ::1 is an IPv6 address where an IPv4 one is needed',
    ],
    [
      'a list with two addresses in one string',
      ['127.0.0.2","127.0.0.3'],
      'ERR_INVALID_ARG_VALUE',
      '[0]',
    ],
  ])('is refused if it is %s', (_, value, code, message) => {
    checked(['127.0.0.2', '127.0.0.3'])
    expect(() => checked(value)).toThrow(coded(code))
    expect(() => checked(value)).toThrow(message)
  })
})

describe('sources by family', () => {
  function byFamily(value: unknown): object {
    return sourcesByFamily.required().check('clients.source', value)
  }

  it('are used for the connections of their own family', () => {
    expect(byFamily('127.0.0.2')).toEqual({ 4: '127.0.0.2', 6: undefined })
    expect(byFamily('::1')).toEqual({ 4: undefined, 6: '::1' })
    expect(byFamily(['127.0.0.2', '::1'])).toEqual({ 4: '127.0.0.2', 6: '::1' })
    expect(byFamily(['127.0.0.2', '::1', '127.0.0.3'])).toEqual({
      4: expect.objectContaining({ addresses: ['127.0.0.2', '127.0.0.3'] }) as object,
      6: '::1',
    })
  })

  it.each<[string, unknown, string, string]>([
    ['an empty list', [], 'ERR_INVALID_ARG_VALUE', 'must have at least one address'],
    ['a pool', new SourcePool(['::1']), 'ERR_INVALID_ARG_TYPE', 'or an array of them'],
    ['a host name', 'localhost', 'ERR_INVALID_ARG_VALUE', "'clients.source' must be an IP address"],
    [
      'a list with an address twice',
      ['::1', '127.0.0.1', '::1'],
      'ERR_INVALID_ARG_VALUE',
      'the same address as clients.source[0]',
    ],
  ])('are refused if they are %s', (_, value, code, message) => {
    expect(() => byFamily(value)).toThrow(coded(code))
    expect(() => byFamily(value)).toThrow(message)
  })
})

describe('a list of addresses', () => {
  async function sourcesSeen(
    open: (port: number) => net.Socket,
    times: number,
  ): Promise<unknown[]> {
    const accepted: (string | undefined)[] = []
    const server = net.createServer((socket) => {
      destroyLater(socket)
      accepted.push(socket.remoteAddress)
      socket.end('.')
    })
    const port = await listen(server)
    for (let i = 0; i < times; i++) {
      const socket = open(port)
      destroyLater(socket)
      await once(socket, 'data')
    }
    return accepted.toSorted()
  }

  const evenly = ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3']

  it('is rotated by calls of connect() that each pass a new array', async () => {
    const open = (port: number): net.Socket =>
      connect({ host: '127.0.0.1', port, source: ['127.0.0.2', '127.0.0.3'] })
    expect(await sourcesSeen(open, 4)).toEqual(evenly)
  })

  it('is rotated by two Connectors with the same addresses', async () => {
    const given: Source = ['127.0.0.2', '127.0.0.3']
    const connectors = [new Connector({ source: given }), new Connector({ source: given })]
    let next = 0
    const open = (port: number): net.Socket => {
      const connector = connectors[next++ % 2] ?? new Connector()
      return connector.connect({ host: '127.0.0.1', port })
    }
    expect(await sourcesSeen(open, 4)).toEqual(evenly)
  })

  it('cannot be combined with localPort, path or localAddress', () => {
    const several = ['127.0.0.2', '127.0.0.3']
    expect(() => connect({ port: 9, host: '127.0.0.1', localPort: 9, source: several })).toThrow(
      "'options.localPort' cannot be given together with several source addresses",
    )
    expect(() => connect({ path: '/nowhere', source: several })).toThrow(
      "'options.path' cannot go together with source",
    )
    const localAddress = '127.0.0.4'
    expect(() => connect({ port: 9, host: '127.0.0.1', localAddress, source: several })).toThrow(
      "'options.localAddress' cannot be given together with source",
    )
    expect(() => connect({ port: 9, host: '::1', source: several })).toThrow(
      coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY'),
    )
  })
})
