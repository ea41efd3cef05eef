// The browser form of OpenAI's realtime client: the key in a subprotocol.
import { WebSocket } from 'ws';
import { url } from './common.mjs';
import { converse } from './openai_conversation.mjs';

globalThis.WebSocket = WebSocket;
const { default: OpenAI } = await import('openai');
const { OpenAIRealtimeWebSocket } = await import('openai/realtime/websocket');
const client = new OpenAI({
  apiKey: 'secret',
  baseURL: `${url.replace('wss:', 'https:')}/v1`,
  dangerouslyAllowBrowser: true,
});
const realtime = new OpenAIRealtimeWebSocket({ model: 'gpt-realtime', dangerouslyAllowBrowser: true }, client);
const closed = new Promise((resolve) => realtime.socket.addEventListener('close', ({ code }) => resolve(code)));
await converse(realtime, closed);
