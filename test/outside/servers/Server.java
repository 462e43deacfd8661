// An event stream as Java's users write it without a framework, over the JDK's own server. `kind` says what is sent;
// /live, how many responses are under way.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

public class Server {
  static final AtomicInteger live = new AtomicInteger();
  static final Map<String, Integer> pauses =
      Map.of("idle", 3_600_000, "ticks", 1_000, "busy", 100, "flood", 0);
  static final Map<String, Integer> sizes = Map.of("idle", 0, "ticks", 0, "busy", 5_000, "flood", 60_000);

  static void events(HttpExchange exchange) throws IOException {
    String kind = exchange.getRequestURI().getQuery().replace("kind=", "");
    byte[] event = ("data: " + "x".repeat(sizes.get(kind)) + "\n\n").getBytes();
    live.incrementAndGet();
    try {
      exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
      exchange.sendResponseHeaders(200, 0);
      OutputStream body = exchange.getResponseBody();
      for (;;) {
        body.write(event);
        body.flush();
        Thread.sleep(pauses.get(kind));
      }
    } catch (InterruptedException error) {
      throw new IOException(error);
    } finally {
      live.decrementAndGet();
    }
  }

  static void live(HttpExchange exchange) throws IOException {
    byte[] count = String.valueOf(live.get()).getBytes();
    exchange.sendResponseHeaders(200, count.length);
    exchange.getResponseBody().write(count);
    exchange.close();
  }

  public static void main(String[] args) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", Integer.parseInt(args[0])), 1024);
    server.createContext("/events", Server::events);
    server.createContext("/live", Server::live);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
  }
}
