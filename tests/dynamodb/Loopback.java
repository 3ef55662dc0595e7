// Knows how DynamoDB Local is kept off the network: its own main class listens on every interface and takes no address.
// It takes the same options, prints the port, and ends when its standard input does.

import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

class Loopback {
    public static void main(String[] options) throws Exception {
        DynamoDBProxyServer local = ServerRunner.createServerFromCommandLineArgs(options);
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        var connector = (ServerConnector) ((Server) field.get(local)).getConnectors()[0];
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        local.start();
        System.out.println("listening on " + connector.getLocalPort());
        System.in.transferTo(java.io.OutputStream.nullOutputStream());
        local.stop();
        System.exit(0);
    }
}
