// A receiver of webhooks: npm install standardwebhooks, then PORTARIA_WEBHOOK_SECRET=whsec_… node receiver.js
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.PORTARIA_WEBHOOK_SECRET);
const answer = (response, status) => response.writeHead(status).end();

createServer(async (request, response) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 1 << 20) return answer(response, 413);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks).toString("utf8"); // as it came, before any JSON parser: it is what is signed
  let event;
  try {
    event = webhook.verify(body, request.headers); // also refuses what is older than five minutes
  } catch {
    return answer(response, 401);
  }
  console.log(event.id, event.type); // keep the id with what you do: an event may come twice
  answer(response, 204);
}).listen(process.env.PORT ?? 9000, "127.0.0.1");
