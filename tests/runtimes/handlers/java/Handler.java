package suite;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** The handler of the suite, in Java: one deed an event, the same in every language. */
public class Handler implements RequestHandler<Map<String, Object>, Object> {
  private static final AtomicInteger TICKS = new AtomicInteger();

  /** What `fail` throws. */
  public static class Broken extends RuntimeException {
    public Broken(String message) {
      super(message);
    }
  }

  @Override
  public Object handleRequest(Map<String, Object> event, Context context) {
    try {
      return act(event, context);
    } catch (IOException | InterruptedException error) {
      throw new IllegalStateException(error);
    }
  }

  private static Object act(Map<String, Object> event, Context context) throws IOException, InterruptedException {
    switch ((String) event.get("do")) {
      case "echo":
        return event.get("value");
      case "pid":
        return ProcessHandle.current().pid();
      case "fail":
        throw new Broken("no such luck");
      case "exit":
        Runtime.getRuntime().halt(3);
        return null;
      case "hang":
        Thread.sleep(1_000_000);
        return null;
      case "pad":
        return "x".repeat(((Number) event.get("size")).intValue());
      case "measure":
        return ((String) event.get("value")).length();
      case "variables":
        Map<String, String> found = new HashMap<>();
        for (Object name : (List<?>) event.get("names")) {
          found.put((String) name, System.getenv((String) name));
        }
        return found;
      case "write":
        Files.writeString(Path.of((String) event.get("path")), (String) event.get("text"));
        return null;
      case "read":
        return Files.readString(Path.of((String) event.get("path")));
      case "tick":
        Thread ticker = new Thread(Handler::tick);
        ticker.setDaemon(true);
        ticker.start();
        return null;
      case "ticks":
        while (TICKS.get() == 0) {
          Thread.sleep(5);
        }
        return true;
      case "print":
        System.out.println(event.get("text"));
        return null;
      case "context":
        return contextOf(context);
      default:
        throw new IllegalArgumentException("no such deed");
    }
  }

  private static void tick() {
    try {
      while (true) {
        Thread.sleep(10);
        TICKS.incrementAndGet();
      }
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }

  private static Map<String, Object> contextOf(Context context) {
    Map<String, Object> said = new HashMap<>();
    said.put("requestId", context.getAwsRequestId());
    said.put("remainingMs", context.getRemainingTimeInMillis());
    said.put("functionName", context.getFunctionName());
    said.put("functionVersion", context.getFunctionVersion());
    said.put("memoryMb", context.getMemoryLimitInMB());
    said.put("logGroup", context.getLogGroupName());
    said.put("logStream", context.getLogStreamName());
    said.put("arn", context.getInvokedFunctionArn());
    said.put("custom", context.getClientContext() == null ? null : context.getClientContext().getCustom());
    said.put("identity", context.getIdentity() == null ? null : context.getIdentity().getIdentityId());
    said.put("traceId", System.getProperty("com.amazonaws.xray.traceHeader"));
    return said;
  }
}
